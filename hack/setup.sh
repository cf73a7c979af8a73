#!/bin/sh
# Installs what a bare Debian or Ubuntu with Rust lacks. Returns at once when nothing is missing.
#
#   hack/setup.sh build       to build
#   hack/setup.sh run         and to give the program the right to capture, where root need not run it
#   hack/setup.sh test        and what tests use: wscat and tsc from npm, and servers to write to, in a cache outside the checkout.
#                             Tests say when they lack something, so that what can't be installed is no failure here
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

# Prints the command that makes apt-get run as root; fails, with a reason, where nothing does.
as_root() {
    command -v apt-get >/dev/null || {
        say "missing:$missing. Install these (named as Debian names them), then try again."
        return 1
    }
    if [ "$(id -u)" = 0 ]; then
        echo env
    else
        root_command || {
            say "missing:$missing. Install these packages as root, then try again."
            return 1
        }
    fi
}

# install ROOT PACKAGE…: no question is asked, and no server starts because its package was installed.
install() {
    root=$1
    shift
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then policy=; fi
    # deb-systemd-invoke and invoke-rc.d ask it, and 101 forbids.
    [ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' | $root sh -c "cat >$policy && chmod +x $policy"
    had_nginx=$(command -v nginx || true)
    code=0
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "$@" >/dev/null || code=$?
    [ -z "$policy" ] || $root rm -f "$policy"
    # Nor at the next start of the machine.
    if [ -z "$had_nginx" ] && [ -d /run/systemd/system ] && [ -e /lib/systemd/system/nginx.service ]; then
        $root systemctl disable --quiet nginx || true
    fi
    return "$code"
}

install_missing() {
    [ -n "$missing" ] || return 0
    root=$(as_root) || exit 1
    say "Installing$missing"
    $root apt-get -qq update
    # shellcheck disable=SC2086
    install "$root" $missing
    missing=
}

# The same, one by one if need be, and go on without what can't be had.
try_to_install_missing() {
    [ -n "$missing" ] || return 0
    root=$(as_root) || return 0
    say "Installing$missing"
    $root apt-get -qq update || return 0
    # shellcheck disable=SC2086
    install "$root" $missing && missing= && return 0
    for package in $missing; do
        install "$root" "$package" || say "$package can't be installed: what needs it will not run"
    done
    missing=
}

# from_npm PROGRAM PACKAGE VERSION DIRECTORY
from_npm() {
    if [ -x "$1" ] || ! command -v npm >/dev/null; then return 0; fi
    say "Installing $2 $3"
    npm install --silent --no-audit --no-fund --prefix "$4" "$2@$3" >/dev/null ||
        say "$2 can't be installed: what needs it will not run"
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
        install_missing
        need script bsdutils
        need setpriv util-linux
        need unshare util-linux
        need ip iproute2
        need python3 python3
        need curl curl
        need tcpdump tcpdump
        need nginx nginx-light
        need wrk wrk
        need dnsmasq dnsmasq-base
        need dnsperf dnsperf
        need valgrind valgrind
        need tshark tshark
        need capinfos wireshark-common
        need npm npm
        need node nodejs
        need openssl openssl
        try_to_install_missing
        from_npm "$WSCAT" wscat "$WSCAT_VERSION" "$WSCAT_HOME"
        from_npm "$TSC" typescript "$TYPESCRIPT_VERSION" "$TYPESCRIPT_HOME"
        hack/servers.sh
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
