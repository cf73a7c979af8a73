#!/bin/bash
# Real servers, real clients, a cable between two network namespaces; captured live, and by tcpdump for the impaired copy.
# usage, in a network and PID namespace of its own: traffic.sh KUBESHARK DIRECTORY
set -euo pipefail
kubeshark=$1 dir=$2
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
unshare --net sleep 300 &
client=$!
sleep 0.2
ip link add server type veth peer name client netns "$client"
ip link set server up
ip address add 10.9.0.1/24 dev server
inside() { nsenter --target "$client" --net "$@"; }
inside ip link set client up
inside ip address add 10.9.0.2/24 dev client

mkdir -p "$dir/nginx"
cat >"$dir/nginx.conf" <<CONF
daemon off;
worker_processes 1;
user root;
pid $dir/nginx/pid;
error_log $dir/nginx/error.log;
events { worker_connections 64; }
http {
    log_format line '\$status \$request_uri';
    access_log $dir/access.log line;
    keepalive_requests 100000;
    client_body_temp_path $dir/nginx; proxy_temp_path $dir/nginx; fastcgi_temp_path $dir/nginx;
    uwsgi_temp_path $dir/nginx; scgi_temp_path $dir/nginx;
    server {
        listen 10.9.0.1:8080;
        location / { default_type text/plain; return 200 "you asked for \$request_uri, \$connection_requests of \$connection\n"; }
    }
}
CONF
# Four connections, a request every two milliseconds each, all different.
cat >"$dir/wrk.lua" <<'LUA'
local count = 0
function request()
    count = count + 1
    return wrk.format("GET", string.format("/item/%d?x=%s", count, string.rep("y", count % 700)))
end
function delay() return 2 end
LUA
for n in $(seq 3000); do echo "host-$n.test A"; done >"$dir/questions"

nginx -c "$dir/nginx.conf" 2>"$dir/nginx.out" &
nginx=$!
dnsmasq --no-daemon --no-resolv --no-hosts --conf-file=/dev/null --user=root --pid-file= --listen-address=10.9.0.1 --bind-interfaces \
    --address=/test/10.1.2.3 >"$dir/dnsmasq.out" 2>&1 &
dnsmasq=$!
tcpdump -i server -U -B 16384 -w "$dir/all.pcap" 2>"$dir/tcpdump.out" &
tcpdump=$!
"$kubeshark" tap -i server --listen 127.0.0.1:8899 --worker-listen 127.0.0.1:30001 >"$dir/tap.out" 2>&1 &
tap=$!
for _ in $(seq 100); do
    grep -q 'Press CTRL+C' "$dir/tap.out" && grep -q 'listening on' "$dir/tcpdump.out" && break
    sleep 0.1
done
inside wrk -t 1 -c 4 -d 3 -s "$dir/wrk.lua" http://10.9.0.1:8080/ >"$dir/wrk.out"
inside dnsperf -s 10.9.0.1 -d "$dir/questions" -n 1 -Q 3000 >"$dir/dnsperf.out"
sleep 1.5
curl -sf http://127.0.0.1:30001/metrics >"$dir/metrics"
kill -INT "$tap" "$tcpdump"
wait "$tap" "$tcpdump" || true
kill -QUIT "$nginx"
kill "$dnsmasq" "$client"
wait "$nginx" || true
