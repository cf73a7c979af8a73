#!/bin/sh
# Builds, then watches this machine; or the bundled capture, where this user may not capture.
set -eu
cd "$(dirname "$0")/.."
. hack/lib.sh
hack/setup.sh run
cargo build --release -p kubeshark-cli
program=$PWD/target/release/kubeshark

# A program that was built anew has lost the right that setcap gave it.
if [ "$(id -u)" != 0 ] && as_root=$(root_command); then
    setcap=$(command -v setcap || echo /usr/sbin/setcap)
    if ! "$setcap" -q -v cap_net_raw+ep "$program" >/dev/null 2>&1; then
        say "The right to capture (sudo setcap cap_net_raw+ep $program):"
        # shellcheck disable=SC2086
        $as_root "$setcap" cap_net_raw+ep "$program" || say "setcap failed; trying without it"
    fi
fi
# Only the shell is left out of the way of CTRL+C, so that it sees how the program ended.
trap : INT
code=0
"$program" tap -i any "$@" || code=$?
# 77: may not capture.
if [ "$code" = 77 ]; then
    say ""
    say "Showing the bundled capture instead."
    exec "$program" tap --pcap tests/captures/demo/input.pcap "$@"
fi
exit "$code"
