#!/bin/bash
# Builds libpcap as a static library from Debian's source package, without what a capture of packets does not need (the
# packaged one wants D-Bus and systemd), into the cache outside the checkout. Prints where it lies.
#
#   hack/libpcap.sh [ARCH]      amd64 or arm64
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

VERSION=$LIBPCAP_VERSION
# Of libpcap_$VERSION.orig.tar.gz.
SHA256=2a8885c403516cf7b0933ed4b14d6caa30e02052489ebd414dc75ac52e7559e6
RELEASE=bookworm
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

arch=${1:-amd64}
case $arch in
    amd64) host=x86_64-linux-gnu ;;
    arm64) host=aarch64-linux-gnu ;;
    *) fail "ARCH=$arch: amd64 or arm64" ;;
esac
prefix=$CACHE/libpcap-$VERSION-$arch
if [ ! -e "$prefix/lib/libpcap.a" ]; then
    hack/setup.sh images
    command -v "$host-gcc" >/dev/null || fail "$host-gcc is missing: apt-get install gcc-${host/_/-}"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # A list of sources of its own: the machine's need not name any.
    mkdir -p "$work"/{lists/partial,archives/partial,source}
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $RELEASE main" >"$work/sources.list"
    fetch() {
        apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User="$(id -un)" "$@" >&2
    }
    cd "$work/source"
    fetch update
    fetch source --download-only "libpcap=$VERSION-1"
    echo "$SHA256  libpcap_$VERSION.orig.tar.gz" | sha256sum --check --quiet ||
        fail "the source of libpcap $VERSION is not the one that is known here"
    tar -xzf "libpcap_$VERSION.orig.tar.gz" --strip-components 1
    say "Building libpcap $VERSION for $arch"
    {
        ./configure --host="$host" --prefix="$prefix" --disable-shared --disable-dbus --disable-usb --disable-bluetooth \
            --disable-rdma --without-libnl CC="$host-gcc" CFLAGS="-O2 -fPIE -ffile-prefix-map=$work=."
        make install
    } >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "libpcap can't be built"; }
fi
echo "$prefix"
