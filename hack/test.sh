#!/bin/sh
# Sets up, runs every test, and says at the end which part could not run here.
set -eu
cd "$(dirname "$0")/.."
. hack/lib.sh
hack/setup.sh test
notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
code=0
KUBESHARK_WSCAT=$WSCAT KUBESHARK_TEST_NOTES=$notes cargo test --release --workspace --no-fail-fast "$@" || code=$?
sort -u "$notes"
exit "$code"
