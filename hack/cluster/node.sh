# Nodes: each is a network, mount, UTS and PID namespace with a containerd, a kubelet and a kube-proxy of its own. They
# share the machine's kernel. node1 is 172.30.0.11 and its pods are 10.244.1.0/24, and so on.

NODE_NET=172.30.0
POD_NET=10.244

node_address() { echo "$NODE_NET.$((10 + $1))"; }

# Fills in a template of hack/cluster.
fill() { # TEMPLATE NODE BITS
    sed -e "s#@NODE@#node$2#" -e "s#@ADDRESS@#$(node_address "$2")#" -e "s#@PODS@#$POD_NET.$2.0/$3#" \
        -e "s#@CGROUP@#/$NAME-$2#" -e "s#@DNS@#$SERVICE_DNS#" -e "s#@CNI@#$(cni_plugins)#" \
        -e "s#@SNAPSHOTTER@#$(snapshotter)#" "hack/cluster/$1"
}

cni_plugins() { if [ -x /opt/cni/bin/bridge ]; then echo /opt/cni/bin; else echo /usr/lib/cni; fi; }
# An overlay on an overlay, as in a container, is refused.
snapshotter() { if [ "$(stat -f -c %T "$STATE")" = overlayfs ]; then echo native; else echo overlayfs; fi; }

node_up() { # I BITS
    local i=$1 bits=$2 home=$STATE/node$1 ns=$NAME-$1
    mkdir -p "$home"/{lib,log,cni,cgroup,plugins}
    user "node$i" "/O=system:nodes/CN=system:node:node$i" "IP:$(node_address "$i"),DNS:node$i"
    mv "$STATE/node$i.kubeconfig" "$home/kubeconfig"
    cp "$STATE/keys/ca.crt" "$STATE/keys/node$i".{crt,key} "$STATE/proxy.kubeconfig" "$home/"
    fill kubelet.yaml "$i" "$bits" >"$home/kubelet.yaml"
    fill containerd.toml "$i" "$bits" >"$home/containerd.toml"
    fill pods.conflist "$i" "$bits" >"$home/cni/pods.conflist"
    node_network "$i"
    node_cgroup "$ns"
    setsid nsenter --net="/run/netns/$ns" unshare --mount --uts --pid --fork --mount-proc --kill-child \
        hack/cluster/inside.sh "node$i" "$(node_address "$i")" "$home" "$TOOLS" "$POD_NET.0.0/16" \
        </dev/null >"$STATE/log/node$i.log" 2>&1 &
    remember "node$i" $!
    wait_for 60 "containerd on node$i" node_ctr "$i" version
    for image in "$STATE"/images/*.tar; do node_import "$i" "$(basename "$image")"; done
}

node_network() { # I
    local i=$1 ns=$NAME-$1 j
    ip netns add "$ns"
    ip -n "$NAME" link add "node$i" type veth peer name eth0 netns "$ns"
    ip -n "$NAME" link set "node$i" master wire up
    ip -n "$ns" link set lo up
    ip -n "$ns" link set eth0 up
    ip -n "$ns" addr add "$(node_address "$i")/24" dev eth0
    ip -n "$ns" route add default via "$PLANE"
    nsenter --net="/run/netns/$ns" sysctl -qw net.ipv4.ip_forward=1
    # Pods' networks are routed, there is no tunnel.
    ip -n "$NAME" route replace "$POD_NET.$i.0/24" via "$(node_address "$i")"
    for j in 1 2 3 4 5 6 7 8 9; do
        [ "$j" = "$i" ] || ip -n "$ns" route add "$POD_NET.$j.0/24" via "$(node_address "$j")"
    done
}

# The control group under which the kubelet makes those of pods: one, or with version 1 one in each hierarchy.
node_cgroup() { # NAME
    local root=/sys/fs/cgroup hierarchy file
    if [ "$(stat -f -c %T $root)" = cgroup2fs ]; then
        for file in cpuset cpu io memory pids; do
            echo "+$file" >$root/cgroup.subtree_control || say "the controller $file can't be passed on"
        done
        mkdir -p "$root/$1"
        return
    fi
    for hierarchy in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
        [ ! -d "$root/$hierarchy" ] || mkdir -p "$root/$hierarchy/$1"
    done
    # A new one has no processor.
    for file in cpuset.cpus cpuset.mems; do cat "$root/cpuset/$file" >"$root/cpuset/$1/$file"; done
}

node_down() { # I
    local i=$1 ns=$NAME-$1 pid group
    # The first process of a PID namespace takes all others with it; unshare ends it when killed, not when asked.
    if pid=$(running_as "node$i"); then kill -9 "$pid"; fi
    wait_for 10 "node$i to end" ended "node$i" || true
    rm -f "$STATE/run/node$i.pid"
    [ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
    ip -n "$NAME" link del "node$i" 2>/dev/null || true
    for group in /sys/fs/cgroup/"$ns" /sys/fs/cgroup/*/"$ns"; do
        [ ! -d "$group" ] || wait_for 10 "the end of $group" without_group "$group" || true
    done
    rm -rf "$STATE/node$i" "$STATE/keys/node$i".*
}
without_group() { find "$1" -depth -type d -exec rmdir {} +; }

# Numbers of the nodes that are up.
nodes() {
    local file
    for file in "$STATE"/node?; do [ ! -d "$file" ] || echo "${file##*node}"; done
}

# Its tools are called from outside its namespaces, where its /run is not seen.
node_ctr() { # I ARGUMENT…
    local i=$1
    shift
    ctr --address "$STATE/node$i/containerd.sock" --namespace k8s.io "$@"
}
node_import() { # I FILE
    node_ctr "$1" images import --snapshotter "$(snapshotter)" "$STATE/images/$2" >/dev/null
}

nodes_ready() {
    local i
    for i in $(nodes); do
        in_plane kubectl get node "node$i" --no-headers | awk '{ exit $2 != "Ready" }' || return 1
    done
    # Pods are refused until the default service account is there.
    in_plane kubectl get serviceaccount default
}

# Kubernetes' own, which holds a pod's namespaces.
pause_image() { hack/image.sh "$STATE/images/pause.tar" localhost/pause:dev /pause "$TOOLS/pause=/pause"; }
