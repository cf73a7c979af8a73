# Read by the scripts beside it: names, paths, and how they speak.

CACHE=${KUBESHARK_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kubeshark}
WSCAT_VERSION=6.1.0
WSCAT_HOME=$CACHE/wscat-$WSCAT_VERSION
WSCAT=$WSCAT_HOME/node_modules/.bin/wscat

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}
