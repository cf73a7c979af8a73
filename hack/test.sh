#!/bin/sh
# Sets up, runs every test, and says at the end which parts could not run here, and why. With KUBESHARK_TEST_STRICT=1
# each of them is a failure, but for what a corpus of captures would be needed for.
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
    *" -p "* | *" --package "*) whole= ;;
    *)
        whole=1
        set -- --workspace "$@"
        ;;
esac

# A cluster comes up while the tests are built; the one that KUBECONFIG or KUBESHARK_CLUSTER names is there already.
if [ -n "$whole" ] && [ -z "${KUBECONFIG:-}${KUBESHARK_CLUSTER:-}" ]; then
    if lacks=$(hack/cluster.sh missing); then
        started=1
        export KUBESHARK_CLUSTER="$(hack/cluster.sh name)"
        # What can't be had here, such as Kubernetes' modules without a network, is no failure of a test.
        { hack/setup.sh cluster && hack/tools.sh || exit 77; hack/cluster.sh up; } &
        cluster=$!
    else
        echo "cluster: not run: it needs $lacks" >>"$notes"
        # The chart can be rendered without.
        hack/tools.sh helm || true
    fi
fi
code=0
cargo test --release --no-run --quiet "$@" || code=$?
if [ -n "$started" ]; then
    up=0
    wait "$cluster" || up=$?
    if [ "$up" = 77 ]; then
        echo "cluster: not run: Kubernetes could not be built; see above" >>"$notes"
        unset KUBESHARK_CLUSTER
    elif [ "$code" = 0 ]; then
        code=$up
    fi
fi
[ "$code" = 0 ] || exit "$code"
PATH=$PATH:$TOOLS KUBESHARK_TOOLS=$TOOLS KUBESHARK_WSCAT=$WSCAT KUBESHARK_TSC=$TSC KUBESHARK_SERVERS=$SERVERS KUBESHARK_TEST_NOTES=$notes \
    cargo test --release --no-fail-fast "$@" || code=$?
if [ -s "$notes" ]; then
    echo
    echo "What did not run here:"
    sort -u "$notes" | sed 's/^/  /'
fi
exit "$code"
