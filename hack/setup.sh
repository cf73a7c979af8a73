#!/bin/sh
# Installs what a bare Debian or Ubuntu with Rust lacks. Returns at once when nothing is missing.
#
#   hack/setup.sh build       to build
#   hack/setup.sh run         and to give the program the right to capture, where root need not run it
#   hack/setup.sh test        and what tests use: wscat from npm, in a cache outside the checkout
#   hack/setup.sh captures    and what hack/captures.sh uses
#   hack/setup.sh cluster     and what hack/cluster.sh uses, which is more than any other: containerd, runc, iptables …
#   hack/setup.sh images      and what hack/images.sh uses
set -eu
cd "$(dirname "$0")/.."
. hack/lib.sh

missing=
# Asks for a package unless its command (or file) is there.
need() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] ;;
    esac || missing="$missing $2"
}

install_missing() {
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=$(root_command) || fail "missing:$missing. Install these packages as root, then try again."
    fi
    command -v apt-get >/dev/null || fail "missing:$missing. Install these (named as Debian names them), then try again."
    say "Installing$missing"
    $as_root apt-get -qq update
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing >/dev/null
    missing=
}

install_wscat() {
    [ -x "$WSCAT" ] && return 0
    say "Installing wscat $WSCAT_VERSION"
    npm install --silent --no-audit --no-fund --prefix "$WSCAT_HOME" "wscat@$WSCAT_VERSION" >/dev/null ||
        say "wscat can't be installed: what needs it will not run"
}

command -v cargo >/dev/null || fail "Rust is missing: get it from https://rustup.rs, then try again."
version=$(cargo --version | cut -d ' ' -f 2)
at_least "$version" "$RUST_VERSION" ||
    fail "cargo $version ($(command -v cargo)) is too old: Rust $RUST_VERSION is needed. Get it from https://rustup.rs, then try again."
need cc gcc
need /usr/include/pcap.h libpcap-dev
case ${1:-build} in
    build) install_missing ;;
    run)
        # Who can't become root can't set it either.
        [ "$(id -u)" = 0 ] || ! root_command >/dev/null || need setcap libcap2-bin
        install_missing
        ;;
    test)
        need ip iproute2
        need script bsdutils
        need setpriv util-linux
        need npm npm
        need node nodejs
        install_missing
        install_wscat
        ;;
    captures)
        need ip iproute2
        need curl curl
        need tcpdump tcpdump
        need nginx nginx-light
        need dnsmasq dnsmasq-base
        need dig bind9-dnsutils
        install_missing
        ;;
    cluster)
        need ip iproute2
        need iptables iptables
        need nft nftables
        need conntrack conntrack
        need nsenter util-linux
        need openssl openssl
        need containerd containerd
        need runc runc
        [ -x /opt/cni/bin/bridge ] || need /usr/lib/cni/bridge containernetworking-plugins
        install_missing
        ;;
    images)
        need /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
        need jq jq
        need /etc/ssl/certs/ca-certificates.crt ca-certificates
        need flex flex
        need bison bison
        need make make
        install_missing
        ;;
    *) fail "what should $1 be? build, run, test, captures, cluster or images" ;;
esac
