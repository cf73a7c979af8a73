#!/bin/bash
# Writes a container image FROM scratch, of one layer, without a container engine: an OCI layout in a tar, as
# `ctr images import`, `skopeo copy oci-archive:` and `podman load` take it. The same files give the same bytes.
#
#   hack/image.sh OUT.tar REFERENCE ENTRYPOINT FILE=PATH…
#
# FILE keeps its right to be executed; @TARGET=PATH is a symbolic link. ARCH (amd64) is what the image says it is for;
# USER_ID is whom its program runs as unless the pod says otherwise; COMPRESS=1 makes it smaller and slower to write.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh
[ $# -ge 4 ] || fail "hack/image.sh OUT.tar REFERENCE ENTRYPOINT FILE=PATH…"
out=$1 reference=$2 entrypoint=$3
shift 3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
mkdir -p "$work/root/tmp" "$work/blobs/sha256"
chmod 1777 "$work/root/tmp"
for spec in "$@"; do
    file=${spec%%=*} path=$work/root/${spec#*=}
    mkdir -p "$(dirname "$path")"
    case $file in
        @*) ln -s "${file#@}" "$path" ;;
        *)
            mode=0644
            [ ! -x "$file" ] || mode=0755
            install -m "$mode" "$file" "$path"
            ;;
    esac
done

# Whoever writes it, whenever: no owner, no time, one order.
pack() { tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu "$@"; }
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
# Moves a file among the blobs and prints how an image speaks of it.
blob() { # FILE TYPE [MORE]
    local sum
    sum=$(digest "$1")
    printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s%s}' "$2" "$sum" "$(stat -c %s "$1")" "${3:-}"
    mv "$1" "$work/blobs/sha256/$sum"
}

pack -C "$work/root" -cf "$work/layer" .
plain=$(digest "$work/layer")
type=layer.v1.tar
if [ -n "${COMPRESS:-}" ]; then
    gzip -n -9 "$work/layer"
    mv "$work/layer.gz" "$work/layer"
    type=layer.v1.tar+gzip
fi
layer=$(blob "$work/layer" "$type")
printf '{"architecture":"%s","os":"linux","config":{"User":"%s","Entrypoint":["%s"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "${ARCH:-amd64}" "${USER_ID:-}" "$entrypoint" "$plain" >"$work/config"
config=$(blob "$work/config" config.v1+json)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$config" "$layer" >"$work/manifest"
manifest=$(blob "$work/manifest" manifest.v1+json \
    ",\"annotations\":{\"io.containerd.image.name\":\"$reference\",\"org.opencontainers.image.ref.name\":\"${reference##*:}\"}")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' "$manifest" >"$work/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
pack -C "$work" -cf "$work/image.tar" oci-layout index.json blobs
mv "$work/image.tar" "$out"
