#!/bin/bash
# Builds programs of others that tests run beside ours, from Go modules, into the cache outside the checkout. What lies
# there in this version is not built again.
#
#   hack/tools.sh               helm, and what a Kubernetes cluster is made of: 10 minutes on two cores, 1 GB, once
#   hack/tools.sh NAME…         some of the table below
#   hack/tools.sh --check NAME… is it all there? Prints what is not
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

# name, version, Go module, packages
TABLE='
helm            3.22.0 helm.sh/helm/v3                   cmd/helm
kubernetes      1.34.4 k8s.io/kubernetes                 cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet cmd/kube-proxy cmd/kubectl
etcd            3.6.16 go.etcd.io/etcd/server/v3         .
coredns         1.14.7 github.com/coredns/coredns        .
service-monitor 0.85.0 github.com/prometheus-operator/prometheus-operator
'
FOR_A_CLUSTER='helm kubernetes etcd coredns service-monitor'
OLDEST_GO=1.26

row() { awk -v name="$1" '$1 == name' <<<"$TABLE"; }
stamp() { echo "$TOOLS/.$1-$2"; }

# What Kubernetes and Helm say they are, and which Kubernetes Helm takes for granted where it sees none, is set by their own
# build; without it, Helm refuses charts for "v0.0.0-master" and "v1.20.0".
version_flags() { # NAME VERSION
    case $1 in
        helm)
            local module=helm.sh/helm/v3 of minor
            minor=$(sed -n 's#.*k8s.io/client-go v0\.\([0-9]*\)\..*#\1#p' go.mod | head -n 1)
            echo "-X $module/internal/version.version=v$2"
            for of in chartutil lint/rules; do
                echo "-X $module/pkg/$of.k8sVersionMajor=1 -X $module/pkg/$of.k8sVersionMinor=$minor"
            done
            ;;
        kubernetes)
            local of=k8s.io/component-base/version minor
            minor=$(cut -d . -f 2 <<<"$2")
            echo "-X $of.gitVersion=v$2 -X $of.gitMajor=${2%%.*} -X $of.gitMinor=$minor"
            ;;
    esac
}

build() { # NAME VERSION MODULE [PACKAGE…]
    local name=$1 version=$2 module=$3 source out
    shift 3
    say "Building $name $version from $module"
    source=$(go mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [ -d "$source" ] || fail "go mod download $module@v$version gave no source"
    if [ "$name" = service-monitor ]; then
        # Not a program: what makes an API server know the kind.
        cp --no-preserve=mode "$source"/example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml \
            "$TOOLS/service-monitor.yaml"
        finished "$name" "$version"
        return
    fi
    out=$WORK/$name-bin
    mkdir -p "$out"
    cp -r "$source" "$WORK/$name"
    chmod -R u+w "$WORK/$name"
    cd "$WORK/$name"
    # A repository of many modules points at its own folders, which a module does not carry. Their published twins do:
    # those of Kubernetes' staging area bear its own minor and patch version after v0, others that which is required.
    sed -i -e "s#=> \./staging/src/\(.*\)#=> \1 v0.${version#*.}#" -e '/=> \.\.\?\//d' go.mod
    # Of CoreDNS what hack/cluster/Corefile names: the other plugins are twice as much code.
    [ "$name" != coredns ] || sed -i '/^\t_ /{/plugin\/\(bind\|errors\|kubernetes\)"/!d}' core/plugin/zplugin.go
    nice -n 19 go build -trimpath -ldflags "-s -w $(version_flags "$name" "$version" | tr '\n' ' ')" -o "$out/" \
        "${@/#/./}"
    # Named after its module, which for etcd is "server".
    [ $# -gt 1 ] || [ -e "$out/$name" ] || mv "$out"/* "$out/$name"
    if [ "$name" = kubernetes ]; then
        # The process that holds a pod's namespaces.
        cc -static -Os -DVERSION="$version" -o "$out/pause" build/pause/linux/pause.c
    fi
    cd - >/dev/null
    mv -f "$out"/* "$TOOLS/"
    rm -rf "${WORK:?}/$name" "$out"
    finished "$name" "$version"
}
finished() { # NAME VERSION
    rm -f "$TOOLS/.$1-"*
    touch "$(stamp "$1" "$2")"
}

check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $FOR_A_CLUSTER
missing=()
for name in "$@"; do
    read -r known version _ < <(row "$name") || fail "hack/tools.sh knows no $name: it knows $(awk '{ printf "%s ", $1 }' <<<"$TABLE")"
    [ -e "$(stamp "$known" "$version")" ] || missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ -n "$check" ]; then
    echo "${missing[*]}"
    exit 1
fi

PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || fail "Go is missing, which builds ${missing[*]}: get $OLDEST_GO or newer from https://go.dev/dl, then try again."
version=$(go env GOVERSION)
at_least "${version#go}" "$OLDEST_GO" || fail "Go ${version#go} is too old to build ${missing[*]}: get $OLDEST_GO or newer from https://go.dev/dl, then try again."
command -v cc >/dev/null || fail "a C compiler is missing: hack/setup.sh build"
export CGO_ENABLED=0 GOWORK=off GOFLAGS="${GOFLAGS:-} -mod=mod"
mkdir -p "$TOOLS"
# One at a time, also where several checkouts share the cache; who waited finds it built.
exec 9>"$TOOLS/.lock"
flock 9
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
for name in "${missing[@]}"; do
    read -r -a fields < <(row "$name")
    [ -e "$(stamp "$name" "${fields[1]}")" ] || build "${fields[@]}"
done
