#!/bin/bash
# Dissects new generated traffic, again and again, for SOAK_SECONDS (60): every transaction must be there, the output must
# not depend on the number of threads, and memory must stay below 150 MiB.
set -euo pipefail
cd "$(dirname "$0")/../.."
. hack/lib.sh
cargo build --release -q -p kubeshark-cli
cargo build --release -q -p kubeshark-tests --example gen
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
end=$((SECONDS + ${SOAK_SECONDS:-60})) seed=0 entries=0 peak=0
while [ "$SECONDS" -lt "$end" ]; do
    seed=$((seed + 1))
    connections=$((RANDOM % 2000 + 1)) questions=$((RANDOM % 20000 + 1))
    target/release/examples/gen "$connections" "$questions" "$dir/mix.pcap" "$seed"
    expected=
    for threads in 1 2 3; do
        target/release/kubeshark dissect --threads "$threads" "$dir/mix.pcap" >"$dir/out" 2>/dev/null &
        pid=$!
        while kill -0 "$pid" 2>/dev/null; do
            now=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null || true)
            [ "${now:-0}" -le "$peak" ] || peak=$now
            sleep 0.02
        done
        wait "$pid"
        [ "$(wc -l <"$dir/out")" = $((connections * 10 + questions)) ] || fail "seed $seed: entries are missing"
        sum=$(sha256sum <"$dir/out")
        [ "${expected:=$sum}" = "$sum" ] || fail "seed $seed: $threads threads give something else"
    done
    entries=$((entries + connections * 10 + questions))
done
[ "$peak" -le $((150 * 1024)) ] || fail "memory rose to $((peak / 1024)) MiB"
echo "soak: $seed mixes, $entries entries, each three times; peak $((peak / 1024)) MiB"
