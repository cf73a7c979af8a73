#!/bin/bash
# The first process of a node, inside its namespaces. When it is killed, the node is gone.
#
#   inside.sh NODE ADDRESS HOME TOOLS PODS
set -euo pipefail
node=$1 address=$2 home=$3 tools=$4 pods=$5

# What this node does to its mounts stays here. Its files lie in its home, which is found at short, fixed paths: a socket's
# path may not be long.
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/node /run/tools /run/lock /run/netns /run/sysctl
mount --bind "$home" /run/node
mount --bind "$tools" /run/tools
cd /run/node
PATH=/run/tools:$PATH

# A sysfs of its own shows its own interfaces. The control groups under the old one are bound into it.
mount --rbind /sys/fs/cgroup cgroup
mount -t sysfs sysfs /sys
mount --rbind cgroup /sys/fs/cgroup

# The kubelet sets these for the whole machine. It shall find files that take what it writes.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    [ -e "/proc/sys/$key" ] || continue
    copy=/run/sysctl/${key//\//.}
    cat "/proc/sys/$key" >"$copy"
    mount --bind "$copy" "/proc/sys/$key"
done

# kubelet, CNI and containerd write here.
mount --bind lib /var/lib
mount --bind log /var/log
# What a pod mounts, its node sees, and the other way round.
mount --make-rshared /
hostname "$node"

containerd --config containerd.toml >log/containerd.log 2>&1 &
until [ -S containerd.sock ]; do sleep 0.05; done
kubelet --config kubelet.yaml --kubeconfig kubeconfig --hostname-override "$node" --node-ip "$address" >log/kubelet.log 2>&1 &
# A network namespace that is not the machine's first may not set the size of its connection table.
kube-proxy --kubeconfig proxy.kubeconfig --hostname-override "$node" --bind-address "$address" --cluster-cidr "$pods" \
    --proxy-mode iptables --healthz-bind-address 127.0.0.1:10256 --metrics-bind-address 127.0.0.1:10249 \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s \
    >log/proxy.log 2>&1 &
wait
