#!/bin/sh
# Sets up, runs every test, and says at the end which part could not run here. With KUBESHARK_TEST_STRICT=1 it is
# a failure that wscat is absent, or that this user may not capture.
set -eu
cd "$(dirname "$0")/.."
. hack/lib.sh
hack/setup.sh test
notes=$(mktemp)
started=
finish() {
    rm -f "$notes"
    [ -z "$started" ] || hack/cluster.sh down
}
trap finish EXIT
trap 'exit 130' INT TERM
case " $* " in
    *" -p "* | *" --package "*) ;;
    *) set -- --workspace "$@" ;;
esac

# A cluster comes up while the tests are built; the one that KUBECONFIG or KUBESHARK_CLUSTER names is there already.
if [ -z "${KUBECONFIG:-}${KUBESHARK_CLUSTER:-}" ]; then
    if lacks=$(hack/cluster.sh missing); then
        started=1
        export KUBESHARK_CLUSTER="$(hack/cluster.sh name)"
        hack/cluster.sh up &
        cluster=$!
    else
        echo "cluster: not run: it needs $lacks" >>"$notes"
        # The chart can be rendered without.
        hack/tools.sh helm || true
    fi
fi
code=0
cargo test --release --no-run --quiet "$@" || code=$?
[ -z "$started" ] || wait "$cluster" || code=$?
[ "$code" = 0 ] || exit "$code"
PATH=$PATH:$TOOLS KUBESHARK_TOOLS=$TOOLS KUBESHARK_WSCAT=$WSCAT KUBESHARK_TEST_NOTES=$notes cargo test --release --no-fail-fast "$@" || code=$?
sort -u "$notes"
exit "$code"
