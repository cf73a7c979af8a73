#!/bin/sh
# Sets up, runs every test, and says at the end which parts could not run here, and why. With KUBESHARK_TEST_STRICT=1
# each of them is a failure, but for what a corpus of captures would be needed for.
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
if [ -s "$notes" ]; then
    echo
    echo "What did not run here:"
    sort -u "$notes" | sed 's/^/  /'
fi
exit "$code"
