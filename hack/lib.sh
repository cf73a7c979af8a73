# Read by the scripts beside it: names, paths, and how they speak.

CACHE=${KUBESHARK_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kubeshark}
WSCAT_VERSION=6.1.0
WSCAT_HOME=$CACHE/wscat-$WSCAT_VERSION
WSCAT=$WSCAT_HOME/node_modules/.bin/wscat
# Checks the types of scripts/.
TYPESCRIPT_VERSION=5.9.3
TYPESCRIPT_HOME=$CACHE/typescript-$TYPESCRIPT_VERSION
TSC=$TYPESCRIPT_HOME/node_modules/.bin/tsc
VERSITYGW_VERSION=1.8.0
FAKE_GCS_VERSION=1.56.1
SERVERS=$CACHE/servers-$VERSITYGW_VERSION-$FAKE_GCS_VERSION
# Programs of others that hack/tools.sh builds.
TOOLS=$CACHE/tools
# What hack/libpcap.sh builds for images.
LIBPCAP_VERSION=1.10.3

# The oldest Rust that builds this: rust-version in Cargo.toml.
RUST_VERSION=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Prints how a command is run as root: by sudo, which asks for a password only where somebody can type it.
root_command() {
    command -v sudo >/dev/null || return 1
    if [ -t 0 ] && [ -t 2 ]; then echo "sudo"; else sudo -n true 2>/dev/null && echo "sudo -n"; fi
}

# Whether version $1 is at least version $2.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}
