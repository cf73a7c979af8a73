#!/bin/bash
# Writes the image of worker and hub: one static program FROM scratch, and the list of what it is made of (CycloneDX).
# Nothing is fetched but crates and Debian's source of libpcap, and the same sources give the same bytes.
#
#   hack/images.sh [OUTDIR]               kubeshark-ARCH.tar and kubeshark-ARCH.cdx.json in OUTDIR (target/images)
#   hack/images.sh --test OUT [PROGRAM]   what tests run: the program as `make test` builds it, and the libraries it loads
#
# ARCH is amd64 or arm64 [this machine's]; IMAGE is the reference [localhost/kubeshark:VERSION].
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
case $(uname -m) in
    aarch64) machine=arm64 ;;
    *) machine=amd64 ;;
esac

# The test image: a program as it runs here runs there, with its loader and libraries at the same places.
test_image() { # OUT PROGRAM
    local program=$2 file specs=()
    [ -x "$program" ] || fail "$program is missing: cargo build --release -p kubeshark-cli"
    for file in $(ldd "$program" | grep -o '/[^ ]*'); do specs+=("$(readlink -f "$file")=$file"); done
    ARCH=$machine hack/image.sh "$1" localhost/kubeshark:test /kubeshark "$program=/kubeshark" "${specs[@]}"
}

# Every crate in the program, in its version, with its licence and the checksum of its source.
bill_of_materials() { # TARGET
    local checksums
    checksums=$(awk -F '"' '/^name = / { name = $2 } /^version = / { version = $2 } /^checksum = / { print name "@" version, $2 }' Cargo.lock)
    cargo tree --locked -p kubeshark-cli -e normal --target "$1" --prefix none --format '{p}|{l}' | sort -u |
        jq -R -n --arg version "$VERSION" --arg checksums "$checksums" --arg libpcap "$LIBPCAP_VERSION" -f hack/sbom.jq
}

static_image() { # OUTDIR
    local arch=${ARCH:-$machine} target libpcap out=$1 name flags
    case $arch in
        amd64) target=x86_64-unknown-linux-gnu ;;
        arm64) target=aarch64-unknown-linux-gnu ;;
        *) fail "ARCH=$arch: amd64 or arm64" ;;
    esac
    hack/setup.sh images
    [ -d "$(rustc --print target-libdir --target $target)" ] ||
        fail "ARCH=$arch: Rust's library for it is missing: rustup target add $target"
    libpcap=$(hack/libpcap.sh "$arch")
    flags="-C target-feature=+crt-static"
    # Where it was built is nobody's business, and differs.
    flags+=" --remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
    [ "$arch" = "$machine" ] || export "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc"
    LIBPCAP_LIBDIR=$libpcap/lib LIBPCAP_VER=$LIBPCAP_VERSION RUSTFLAGS=$flags CARGO_INCREMENTAL=0 \
        cargo build --locked --profile dist -p kubeshark-cli --target $target
    name=kubeshark-$arch
    mkdir -p "$out"
    bill_of_materials $target >"$out/$name.cdx.json"
    # 65532 is "nobody of importance" in distroless images too.
    COMPRESS=1 ARCH=$arch USER_ID=65532 hack/image.sh "$out/$name.tar" "${IMAGE:-localhost/kubeshark:$VERSION}" /kubeshark \
        "target/$target/dist/kubeshark=/kubeshark" LICENSE=/LICENSE "$out/$name.cdx.json=/sbom.cdx.json" \
        /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt
    say "$out/$name.tar: $(du -h "$out/$name.tar" | cut -f 1), sha256 $(sha256sum "$out/$name.tar" | cut -d ' ' -f 1)"
}

case ${1:-} in
    --test) test_image "${2:?where to? hack/images.sh --test OUT.tar}" "${3:-target/release/kubeshark}" ;;
    -*) fail "hack/images.sh knows no $1" ;;
    *) static_image "${1:-target/images}" ;;
esac
