#!/bin/bash
# `kubeshark dissect` beside Suricata 7 on the same capture, one thread each, alternating; then two threads against one.
# Prints medians of 5 runs and their ratios; first it checks that both count the same transactions.
#
#   benches/compare.sh [CONNECTIONS [QUESTIONS]]     default 5000 50000: 50,000 HTTP and 50,000 DNS transactions
#
# Suricata is taken from the path. On Debian 12: apt-get install -t bookworm-backports suricata
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh
connections=${1:-5000} questions=${2:-50000} runs=5
command -v suricata >/dev/null || say "Suricata is not installed (Debian 12: apt-get install -t bookworm-backports suricata): only our own times follow"

hack/setup.sh build
cargo build --release -q -p kubeshark-cli
cargo build --release -q -p kubeshark-tests --example gen
# In memory where that is possible: what is compared is programs, not disks.
dir=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$dir"' EXIT
target/release/examples/gen "$connections" "$questions" "$dir/mix.pcap"
# Read once, so that every run finds it in memory.
cat "$dir/mix.pcap" >/dev/null

# timed NAME COMMAND…: appends "CPU-seconds wall-seconds peak-KiB" to NAME.times.
timed() {
    local name=$1
    shift
    python3 - "$dir/$name.times" "$@" <<'PYTHON'
import os, sys, time
start = time.monotonic()
child = os.fork()
if child == 0:
    out = os.open(os.path.dirname(sys.argv[1]) + "/out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
if status:
    sys.exit(f"{sys.argv[2]} failed: {status}")
with open(sys.argv[1], "a") as times:
    print(used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss, file=times)
PYTHON
}
# median NAME COLUMN
median() { cut -d' ' -f"$2" "$dir/$1.times" | sort -g | sed -n "$(((runs + 1) / 2))p"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
ours() { timed "$1" target/release/kubeshark dissect --threads "$2" -o ndjson "$dir/mix.pcap"; }
theirs() {
    rm -f "$dir/eve.json"
    timed suricata suricata -c benches/suricata.yaml -l "$dir" -r "$dir/mix.pcap" --runmode single -k none -S /dev/null
}

expected_http=$((connections * 10))
ours counts 1
http=$(grep -c '"abbr":"HTTP"' "$dir/out" || true) dns=$(grep -c '"abbr":"DNS"' "$dir/out" || true)
say "kubeshark: $http HTTP and $dns DNS entries"
[ "$http $dns" = "$expected_http $questions" ] || fail "expected $expected_http and $questions"
if command -v suricata >/dev/null; then
    theirs
    http=$(grep -c '"event_type":"http"' "$dir/eve.json" || true) dns=$(grep -c '"type":"answer"' "$dir/eve.json" || true)
    say "suricata:  $http HTTP and $dns DNS answers"
    [ "$http $dns" = "$expected_http $questions" ] || fail "expected $expected_http and $questions"
fi
rm -f "$dir"/*.times

for _ in $(seq $runs); do
    ours one 1
    ! command -v suricata >/dev/null || theirs
done
for _ in $(seq $runs); do
    ours single 1
    ours two 2
done
one=$(median one 1)
echo "kubeshark, 1 thread: CPU $one s, wall $(median one 2) s, peak $(($(median one 3) / 1024)) MiB"
if [ -e "$dir/suricata.times" ]; then
    echo "suricata, single:    CPU $(median suricata 1) s, wall $(median suricata 2) s, peak $(($(median suricata 3) / 1024)) MiB"
    echo "CPU, kubeshark / suricata: $(ratio "$one" "$(median suricata 1)")"
fi
echo "wall, 1 thread / 2 threads: $(ratio "$(median single 2)" "$(median two 2)") ($(median single 2) s, $(median two 2) s)"
