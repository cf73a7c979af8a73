# The control plane: etcd, API server, controllers, scheduler and DNS, as processes in the network namespace $NAME. The
# bridge in it is the wire between the nodes.

in_plane() { KUBECONFIG=$STATE/admin.kubeconfig nsenter --net="/run/netns/$NAME" "$@"; }
component() { # NAME COMMAND…
    local name=$1
    shift
    launch "$name" nsenter --net="/run/netns/$NAME" "$@"
}

running() {
    [ -e "/run/netns/$NAME" ] && [ -f "$STATE/admin.kubeconfig" ] || fail "no cluster is up: hack/cluster.sh up"
}

plane_up() {
    local keys=$STATE/keys
    ip netns add "$NAME"
    ip -n "$NAME" link set lo up
    ip -n "$NAME" link add wire type bridge
    ip -n "$NAME" addr add "$PLANE/24" dev wire
    ip -n "$NAME" link set wire up
    in_plane sysctl -qw net.ipv4.ip_forward=1
    # A test's data need not survive a power cut.
    component etcd etcd --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn
    component apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
        --bind-address "$PLANE" --advertise-address "$PLANE" --secure-port 6443 \
        --service-cluster-ip-range "$SERVICE_CIDR" --allow-privileged --authorization-mode Node,RBAC \
        --enable-admission-plugins NodeRestriction --client-ca-file "$keys/ca.crt" \
        --tls-cert-file "$keys/apiserver.crt" --tls-private-key-file "$keys/apiserver.key" \
        --kubelet-preferred-address-types InternalIP --kubelet-certificate-authority "$keys/ca.crt" \
        --kubelet-client-certificate "$keys/apiserver-to-kubelet.crt" \
        --kubelet-client-key "$keys/apiserver-to-kubelet.key" \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$keys/tokens.pub" --service-account-signing-key-file "$keys/tokens.key"
    # They try again until it answers. A node that is cut off is missed after 20 s.
    component controller-manager kube-controller-manager --kubeconfig "$STATE/controller-manager.kubeconfig" \
        --leader-elect=false --bind-address 127.0.0.1 --allocate-node-cidrs=false --node-monitor-grace-period 20s \
        --use-service-account-credentials --service-account-private-key-file "$keys/tokens.key" \
        --root-ca-file "$keys/ca.crt"
    component scheduler kube-scheduler --kubeconfig "$STATE/scheduler.kubeconfig" --leader-elect=false \
        --bind-address 127.0.0.1
}

# What needs the API server.
plane_finish() {
    wait_for 120 "the API server" in_plane kubectl get --raw /readyz
    sed -e "s#@ADDRESS@#$PLANE#" -e "s#@KUBECONFIG@#$STATE/admin.kubeconfig#" hack/cluster/Corefile >"$STATE/Corefile"
    component coredns coredns -conf "$STATE/Corefile"
    sed -e "s#@ADDRESS@#$PLANE#" -e "s#@SERVICE@#$SERVICE_DNS#" hack/cluster/dns.yaml |
        in_plane kubectl apply -f - >/dev/null
}

plane_down() {
    local name
    # The API server hangs where etcd ends before it.
    for name in coredns scheduler controller-manager apiserver etcd; do finish "$name"; done
    [ ! -e "/run/netns/$NAME" ] || ip netns del "$NAME"
}
