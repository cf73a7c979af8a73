#!/bin/bash
# What takes longer than `make test` may: one part after the other, then what each of them found.
#
#   hack/soak.sh            every part
#   hack/soak.sh PART…      some of them
#   hack/soak.sh --list     what there is
#
# A part is a line of PARTS, and a function of its name that fails when something is wrong. Its output goes to
# $SOAK_LOGS (a new directory), where it stays.
set -uo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

PARTS='
fuzz      each fuzz target for KUBESHARK_FUZZ_SECONDS (600), as many at a time as there are processors
captures  every capture at hand, damaged by each of KUBESHARK_SEEDS (60) seeds: no crash, and the ledger closes
flood     KUBESHARK_FLOOD (5,000,000) half-open flows: memory stays within its bounds, a normal flow is reported
kernel    KUBESHARK_SEEDS (5,000) random streams and datagrams more, as a socket of this machine reads them
damaged   long conversations over KUBESHARK_SEEDS (5,000) bad networks: nothing is made up
loss      the traffic of real servers over KUBESHARK_SEEDS (100) bad networks: nothing is made up, no loss is silent
ledger    our captures after KUBESHARK_SEEDS (30) bad networks, as capinfos and tshark count them
scripts   hostile scripts, failing uploads, one that hangs for KUBESHARK_HANG_SECONDS (60): nothing is lost; what scripts cost
reuse     KUBESHARK_REUSES (200) times an address goes from one pod to the next: nobody is named wrongly
mixes     generated traffic for SOAK_SECONDS (300): every transaction, for any number of threads, in 150 MiB
'

# tests PACKAGE NAME [FILTER…]: a test program, with what it prints.
tests() {
    local package=$1 name=$2
    shift 2
    cargo test --release -p "$package" --test "$name" -- --nocapture "$@"
}

seeds() { export KUBESHARK_SEEDS=${KUBESHARK_SEEDS:-$1}; }

fuzz() {
    export KUBESHARK_FUZZ_SECONDS=${KUBESHARK_FUZZ_SECONDS:-600}
    tests kubeshark-tests fuzz --skip the_ledger_of_damaged_captures
}
captures() {
    seeds 60
    tests kubeshark-cli corpus && tests kubeshark-tests fuzz the_ledger_of_damaged_captures
}
flood() {
    export KUBESHARK_FLOOD=${KUBESHARK_FLOOD:-5000000}
    tests kubeshark-cli growth a_flood
}
kernel() { seeds 5000 && tests kubeshark-tests kernel; }
damaged() { seeds 5000 && tests kubeshark-tests damaged; }
loss() { seeds 100 && tests kubeshark-cli loss; }
ledger() { seeds 30 && tests kubeshark-tests ledger; }
scripts() {
    export KUBESHARK_HANG_SECONDS=${KUBESHARK_HANG_SECONDS:-60} KUBESHARK_SERVERS=$SERVERS
    tests kubeshark-cli faults --test-threads 1 && cargo bench -p kubeshark-cli --bench cost &&
        cargo bench -p kubeshark-scripting --bench scripts
}
reuse() {
    export KUBESHARK_REUSES=${KUBESHARK_REUSES:-200}
    tests kubeshark-cli names one_had
}
mixes() { SOAK_SECONDS=${SOAK_SECONDS:-300} hack/soak/mixes.sh; }

names() { awk 'NF { print $1 }' <<<"$PARTS"; }

case ${1:-} in
    --list)
        awk NF <<<"$PARTS"
        exit
        ;;
    '')
        # shellcheck disable=SC2046
        set -- $(names)
        ;;
esac
for part in "$@"; do
    names | grep -qxF -- "$part" || fail "there is no part $part. These are:$PARTS"
done
hack/setup.sh test || exit
logs=${SOAK_LOGS:-$(mktemp -d)}
mkdir -p "$logs"
say "What each part prints is in $logs"
summary='' failed=0
for part in "$@"; do
    say "$(date +%T) $part"
    since=$SECONDS
    notes=$logs/$part.notes
    : >"$notes"
    # A shell of its own, so that what one part sets is not the next one's.
    if (export KUBESHARK_TEST_NOTES=$notes && "$part") >"$logs/$part.log" 2>&1; then end=ok; else end=FAILED failed=1; fi
    [ "$end" != ok ] || [ ! -s "$notes" ] || end='not all'
    summary+=$(printf '%-9s %-8s %6d s' "$part" "$end" $((SECONDS - since)))$'\n'
    # What the tests say of what they did; of a failure, the end.
    summary+=$(grep -E '[0-9]' "$logs/$part.log" | grep -vE '^(running|test |test result|warning|error|thread|note:)|Compiling|Running|Finished|^ *[0-9]+:|^ +at |^read otherwise|^[0-9]+ captures of 1 cases' |
        tail -n 12 | cut -c 1-200 | sed 's/^/            /')$'\n'
    summary+=$(sort -u "$notes" | sed 's/^/            /')$'\n'
    [ "$end" != FAILED ] || summary+=$(tail -n 20 "$logs/$part.log" | cut -c 1-200 | sed 's/^/          | /')$'\n'
done
printf '\n%s' "$summary" | awk 'NF || NR == 1'
exit "$failed"
