#!/bin/bash
# Makes the captures of tests/captures anew, between two network namespaces that it creates and removes. Needs root.
#
#   hack/captures.sh [CASE…]     all cases, or some
#
# New captures have new times and ports: follow with `UPDATE_GOLDEN=1 cargo test --release -p kubeshark-tests --test golden`.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh
[ "$(id -u)" = 0 ] || fail "network namespaces need root: sudo hack/captures.sh"
hack/setup.sh captures
PATH=$PATH:/usr/sbin:/sbin

DIR=$(mktemp -d)
CLIENT=ks-client-$$ SERVER=ks-server-$$
PIDS=()
cleanup() {
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    ip netns del "$CLIENT" 2>/dev/null || true
    ip netns del "$SERVER" 2>/dev/null || true
    rm -rf "$DIR"
}
trap cleanup EXIT

client() { ip netns exec "$CLIENT" "$@"; }

network() {
    ip netns add "$CLIENT"
    ip netns add "$SERVER"
    ip link add eth0 netns "$CLIENT" type veth peer name eth0 netns "$SERVER"
    local n=1
    for ns in "$CLIENT" "$SERVER"; do
        ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 2>/dev/null || true
        ip -n "$ns" link set lo up
        ip -n "$ns" link set eth0 up
        ip -n "$ns" addr add 10.20.0.$n/24 dev eth0
        ip -n "$ns" addr add fd20::$n/64 dev eth0 nodad
        n=$((n + 1))
    done
}

servers() {
    mkdir -p "$DIR/www"
    printf 'Hello from a server of our own.\n' >"$DIR/www/hello.txt"
    printf '{"items":[' >"$DIR/www/items.json"
    for i in $(seq 1 30); do printf '{"id":%d,"name":"item %d","price":%d.99},' "$i" "$i" "$i"; done >>"$DIR/www/items.json"
    printf '{"id":31}]}\n' >>"$DIR/www/items.json"
    sed "s#@DIR@#$DIR#g" hack/captures/nginx.conf >"$DIR/nginx.conf"
    ip netns exec "$SERVER" nginx -c "$DIR/nginx.conf" -g 'daemon off;' &
    PIDS+=($!)
    ip netns exec "$SERVER" dnsmasq --keep-in-foreground --conf-file=hack/captures/dnsmasq.conf --pid-file= --user=root &
    PIDS+=($!)
    for _ in $(seq 50); do
        client curl -s -o /dev/null http://10.20.0.2:8080/hello.txt && client dig +short +tries=1 +time=1 @10.20.0.2 a.example.test >/dev/null && return
        sleep 0.1
    done
    fail "the servers did not start; see above"
}

# record CASE FILE FUNCTION [tcpdump options]: what FUNCTION causes, seen by the server's tcpdump.
record() {
    local target=tests/captures/$1/$2 action=$3
    shift 3
    mkdir -p "$(dirname "$target")"
    : >"$DIR/tcpdump.log"
    ip netns exec "$SERVER" tcpdump -q -n -U --immediate-mode -w "$DIR/capture.pcap" "$@" 'tcp or udp' 2>"$DIR/tcpdump.log" &
    local pid=$!
    for _ in $(seq 50); do grep -q listening "$DIR/tcpdump.log" && break; sleep 0.05; done
    "$action"
    sleep 0.3
    kill -TERM $pid
    wait $pid || true
    case $target in
        *.gz) gzip -9n <"$DIR/capture.pcap" >"$target" ;;
        *) cp "$DIR/capture.pcap" "$target" ;;
    esac
    say "$target: $(stat -c %s "$target") bytes"
}

get() { client curl -s "$@" >/dev/null || true; }
raw() { client curl -s --max-time 3 "telnet://$1" >/dev/null || true; }
WEB=http://10.20.0.2:8080

methods() {
    get "$WEB/hello.txt" "$WEB/hello.txt?name=a%20b&tag=x&tag=y&empty=" "$WEB/missing" "$WEB/fail"
    get -I "$WEB/hello.txt"
    get -X OPTIONS "$WEB/hello.txt"
    get -X DELETE "$WEB/orders/7"
    get "$WEB/empty"
    get -L "$WEB/moved"
    get -H "If-Modified-Since: $(date -u -d tomorrow '+%a, %d %b %Y %T GMT')" "$WEB/hello.txt"
    get -b 'sid=6f1d; lang=en' -H 'X-Request-Id: 12' -H 'Accept: text/html' -H 'Accept: text/plain' "$WEB/login"
}
bodies() {
    get --json '{"item":7,"note":"für dich"}' "$WEB/orders"
    get -d 'item=7&note=two+words&note=again' "$WEB/orders/form"
    get -F name=ada -F 'file=@hack/captures/note.txt;type=text/plain' "$WEB/upload"
    get --data-binary @"$DIR/www/items.json" -H 'Content-Type: application/octet-stream' -H 'Expect: 100-continue' "$WEB/orders/bulk"
    get -T - -H 'Content-Type: text/plain' "$WEB/orders/stream" <"$DIR/www/hello.txt"
    get -H 'Accept-Encoding: gzip' "$WEB/items.json"
    get "$WEB/items.json"
    get "$WEB/stream/hello.txt"
}
until_close() {
    get -0 "$WEB/stream/hello.txt"
    get -0 "$WEB/hello.txt"
    get -0 -H 'Connection: keep-alive' "$WEB/hello.txt" "$WEB/empty"
}
pipelining() {
    {
        printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\nHEAD /items.json HTTP/1.1\r\nHost: a\r\n\r\nGET /missing HTTP/1.1\r\nHost: a\r\n\r\n'
        printf 'POST /orders/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}GET /empty HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
        sleep 0.5
    } | raw 10.20.0.2:8080
}
unanswered() {
    get "$WEB/hello.txt"
    get --max-time 0.4 "$WEB/silent"
}
questions() {
    for question in 'a.example.test A' 'a.example.test AAAA' 'www.example.test CNAME' 'www.example.test A' 'example.test MX' \
        'example.test TXT' '_sip._tcp.example.test SRV' 'example.test SOA' 'example.test NS' 'nobody.example.test A' \
        'refused.invalid A'; do
        # shellcheck disable=SC2086
        client dig +tries=1 +time=1 "$@" @10.20.0.2 $question >/dev/null || true
    done
    client dig +tries=1 +time=1 "$@" @10.20.0.2 -x 10.20.0.7 >/dev/null || true
}
dns_udp() { questions; client dig +tries=1 +time=1 +noedns @10.20.0.2 a.example.test >/dev/null; }
dns_tcp() { questions +tcp +keepopen; }
over_ipv6() {
    get "http://[fd20::2]:8080/hello.txt" "http://[fd20::2]:8080/items.json"
    client dig +tries=1 +time=1 @fd20::2 a.example.test AAAA >/dev/null
}
little() {
    get "$WEB/hello.txt"
    client dig +tries=1 +time=1 @10.20.0.2 a.example.test >/dev/null
}
demo() {
    for _ in 1 2; do
        client dig +tries=1 +time=1 @10.20.0.2 a.example.test >/dev/null
        methods
        get --json '{"item":7}' "$WEB/orders"
        get -H 'Accept-Encoding: gzip' "$WEB/items.json"
        client dig +tries=1 +time=1 @10.20.0.2 nobody.example.test >/dev/null
        over_ipv6
    done
}

case_demo() { record demo input.pcap demo -i eth0; }
case_http_methods() { record http-methods input.pcap methods -i eth0; }
case_http_bodies() { record http-bodies input.pcap.gz bodies -i eth0 --nano; }
case_http_until_close() { record http-until-close input.pcap until_close -i eth0; }
case_http_pipelining() { record http-pipelining input.pcap pipelining -i eth0; }
case_http_unanswered() { record http-unanswered input.pcap unanswered -i eth0; }
case_dns_udp() { record dns-udp input.pcap dns_udp -i eth0; }
case_dns_tcp() { record dns-tcp input.pcap dns_tcp -i eth0; }
case_ipv6() { record ipv6 input.pcap over_ipv6 -i eth0; }
case_any_sll2() { record any-sll2 input.pcap little -i any -y LINUX_SLL2; }
case_any_sll() { record any-sll input.pcap little -i any -y LINUX_SLL; }

network
servers
if [ $# = 0 ]; then
    set -- demo http-methods http-bodies http-until-close http-pipelining http-unanswered dns-udp dns-tcp ipv6 any-sll2 any-sll
fi
for case in "$@"; do "case_${case//-/_}"; done
