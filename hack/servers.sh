#!/bin/sh
# Puts the servers that tests write to into a cache outside the checkout: versitygw (S3) and fake-gcs-server (GCS), built
# from Go modules, and InfluxDB 1, unpacked from the distribution's package and not installed, so that no service runs.
# What can't be had here is named, and what needs it will not run.
set -eu
cd "$(dirname "$0")/.."
. hack/lib.sh
mkdir -p "$SERVERS"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build_versitygw() {
    GOBIN=$work go install -trimpath -ldflags='-s -w' \
        "github.com/versity/versitygw/cmd/versitygw@v$VERSITYGW_VERSION" && mv "$work/versitygw" "$SERVERS/"
}

build_fake_gcs() {
    mkdir "$work/fake-gcs" && cp hack/fake-gcs.go "$work/fake-gcs/main.go" && (
        cd "$work/fake-gcs"
        go mod init fake-gcs &&
            go get "github.com/fsouza/fake-gcs-server/fakestorage@v$FAKE_GCS_VERSION" &&
            go build -trimpath -ldflags='-s -w' -o ../fake-gcs-server .
    ) && mv "$work/fake-gcs-server" "$SERVERS/fake-gcs"
}

unpack_influxd() {
    chmod 755 "$work" && (cd "$work" && apt-get -qq download influxdb) &&
        dpkg-deb -x "$work"/influxdb_*.deb "$work/influxdb" && mv "$work/influxdb/usr/bin/influxd" "$SERVERS/"
}

# Makes a server unless it is there.
make_server() {
    [ -x "$SERVERS/$1" ] && return 0
    say "Preparing $1"
    log=$work/$1.log
    "$2" >"$log" 2>&1 || {
        tail -n 3 "$log" >&2
        say "$1 can't be prepared: what needs it will not run"
    }
}

if command -v go >/dev/null; then
    make_server versitygw build_versitygw
    make_server fake-gcs build_fake_gcs
elif [ ! -x "$SERVERS/versitygw" ] || [ ! -x "$SERVERS/fake-gcs" ]; then
    say "Go is missing: the tests that need object stores will not run. Get it from https://go.dev/dl."
fi
make_server influxd unpack_influxd
