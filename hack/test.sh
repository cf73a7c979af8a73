#!/bin/sh
# Sets up, runs every test, and says at the end which part could not run here. With KUBESHARK_TEST_STRICT=1 it is
# a failure that wscat or a server to write to is absent, or that this user may not capture.
set -eu
cd "$(dirname "$0")/.."
. hack/lib.sh
hack/setup.sh test
notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
case " $* " in
    *" -p "* | *" --package "*) ;;
    *) set -- --workspace "$@" ;;
esac
code=0
KUBESHARK_WSCAT=$WSCAT KUBESHARK_SERVERS=$SERVERS KUBESHARK_TEST_NOTES=$notes \
    cargo test --release --no-fail-fast "$@" || code=$?
sort -u "$notes"
exit "$code"
