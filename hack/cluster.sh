#!/bin/bash
# A real Kubernetes cluster on this machine, for tests, as root. Its control plane and each of its nodes have network
# namespaces of their own, so that nothing of the machine's own network changes. The API server is at loopback's
# neighbour: what shall reach it runs by `exec`, and finds there a loopback that no other program uses.
#
#   hack/cluster.sh up [--nodes N] [--pods BITS]     N nodes (2), node1, node2 …; each has a /BITS of pod addresses (24)
#   hack/cluster.sh exec COMMAND…                    with KUBECONFIG, and kubectl and helm in PATH
#   hack/cluster.sh load IMAGE.tar…                  what hack/image.sh wrote, on every node and on those to come
#   hack/cluster.sh node-up I [--pods BITS]          one node more, anew; with 29 it has five addresses for pods
#   hack/cluster.sh node-down I                      a node and all its pods are gone at once, as if its plug was pulled
#   hack/cluster.sh cut I, heal I                    a node's network goes, and comes back
#   hack/cluster.sh down                             nothing of it is left
#   hack/cluster.sh missing                          what this machine lacks for it; silence and success if nothing
#   hack/cluster.sh name                             what it is called
#
# KUBESHARK_CLUSTER names it; unless set, the name comes from the checkout's path. Where KUBECONFIG is set, the cluster
# that it names is meant, which can't be altered: there is only exec then.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh
. hack/cluster/processes.sh
. hack/cluster/keys.sh
. hack/cluster/plane.sh
. hack/cluster/node.sh

NAME=${KUBESHARK_CLUSTER:-ks-$(pwd | cksum | cut -d ' ' -f 1)}
STATE=$CACHE/clusters/$NAME
PATH=$TOOLS:$PATH:/usr/sbin:/sbin

foreign() { [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$STATE/admin.kubeconfig" ]; }
ours() { ! foreign || fail "$1 is for clusters that hack/cluster.sh made: unset KUBECONFIG"; }

missing() {
    [ "$(uname -s)" = Linux ] || { echo "Linux"; return 1; }
    [ "$(id -u)" = 0 ] || { echo "root"; return 1; }
    unshare --net --mount --uts --pid --fork true 2>/dev/null || { echo "the right to make namespaces (CAP_SYS_ADMIN)"; return 1; }
    hack/tools.sh --check >/dev/null || PATH=$PATH:/usr/local/go/bin command -v go >/dev/null || {
        echo "Go, which builds Kubernetes (https://go.dev/dl)"
        return 1
    }
}

# Reads --nodes and --pods into NODES and BITS.
options() {
    NODES=2 BITS=24
    while [ $# -gt 0 ]; do
        case $1 in
            --nodes) NODES=$2 ;;
            --pods) BITS=$2 ;;
            *) fail "hack/cluster.sh knows no $1" ;;
        esac
        shift 2
    done
    [[ $NODES =~ ^[1-9]$ ]] || fail "--nodes $NODES: 1 to 9"
    [[ $BITS =~ ^(2[4-9]|30)$ ]] || fail "--pods $BITS: 24 to 30"
}

up() {
    options "$@"
    if foreign; then
        kubectl version >&2 || fail "the cluster that KUBECONFIG ($KUBECONFIG) names does not answer"
        return
    fi
    local lacks
    lacks=$(missing) || fail "cluster: not run: it needs $lacks"
    hack/setup.sh cluster
    hack/tools.sh
    if [ -f "$STATE/admin.kubeconfig" ] && in_plane kubectl get --raw /readyz >/dev/null 2>&1; then
        say "The cluster $NAME is up already"
        return
    fi
    # Of a run that was killed.
    down
    mkdir -p "$STATE"/{run,log,keys,images}
    authorities
    pause_image
    plane_up
    # Nodes try again until the API server answers.
    for i in $(seq "$NODES"); do node_up "$i" "$BITS"; done
    plane_finish
    wait_for 120 "every node to be ready" nodes_ready
    in_plane kubectl get nodes >&2
}

down() {
    local i
    [ -d "$STATE" ] || return 0
    for i in $(nodes); do node_down "$i"; done
    plane_down
    rm -rf "$STATE"
}

load() {
    local image i
    for image in "$@"; do
        [ -f "$image" ] || fail "$image is no file"
        cp "$image" "$STATE/images/"
        for i in $(nodes); do node_import "$i" "$(basename "$image")"; done
    done
}

command=${1:-help}
[ $# = 0 ] || shift
case $command in
    up) up "$@" ;;
    exec)
        [ $# -gt 0 ] || fail "hack/cluster.sh exec COMMAND…"
        foreign && exec "$@"
        running
        export PATH KUBECONFIG=$STATE/admin.kubeconfig KUBESHARK_CLUSTER=$NAME
        exec nsenter --net="/run/netns/$NAME" "$@"
        ;;
    load) ours load && running && load "$@" ;;
    node-up)
        ours node-up && running
        i=${1:?which node? hack/cluster.sh node-up I}
        shift
        options "$@"
        [ ! -d "$STATE/node$i" ] || fail "node$i is up"
        node_up "$i" "$BITS"
        wait_for 120 "node$i to be ready" nodes_ready
        ;;
    node-down) ours node-down && running && node_down "${1:?which node? hack/cluster.sh node-down I}" ;;
    cut) ours cut && running && ip -n "$NAME" link set "node$1" down ;;
    heal) ours heal && running && ip -n "$NAME" link set "node$1" up ;;
    down) foreign || down ;;
    missing) foreign || missing ;;
    name) echo "$NAME" ;;
    *)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
        [ "$command" = help ]
        ;;
esac
