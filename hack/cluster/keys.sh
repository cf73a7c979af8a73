# Who is who in the cluster: an authority, a certificate per component, and the file with which it finds the API server.

SERVICE_CIDR=10.96.0.0/16 SERVICE_API=10.96.0.1 SERVICE_DNS=10.96.0.10
PLANE=172.30.0.1
API=https://$PLANE:6443

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$STATE/keys/$1.key"; }

authorities() {
    new_key ca
    openssl req -x509 -new -key "$STATE/keys/ca.key" -subj /CN=test-authority -days 3650 -out "$STATE/keys/ca.crt"
    certificate apiserver /CN=kube-apiserver "IP:$PLANE,IP:$SERVICE_API,IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"
    certificate apiserver-to-kubelet /O=system:masters/CN=kube-apiserver
    # What signs the tokens of service accounts.
    new_key tokens
    openssl ec -in "$STATE/keys/tokens.key" -pubout -out "$STATE/keys/tokens.pub" 2>/dev/null
    user admin /O=system:masters/CN=admin
    user controller-manager /CN=system:kube-controller-manager
    user scheduler /CN=system:kube-scheduler
    user proxy /CN=system:kube-proxy
}

certificate() { # NAME SUBJECT [NAMES]
    local keys=$STATE/keys
    new_key "$1"
    openssl req -new -key "$keys/$1.key" -subj "$2" -out "$keys/$1.csr"
    printf 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s\n' "${3:-DNS:${2##*CN=}}" >"$keys/$1.ext"
    openssl x509 -req -in "$keys/$1.csr" -CA "$keys/ca.crt" -CAkey "$keys/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
        -days 3650 -extfile "$keys/$1.ext" -out "$keys/$1.crt" 2>/dev/null
    rm "$keys/$1.csr" "$keys/$1.ext"
}

# A certificate in a file for clients that holds all they need.
user() { # NAME SUBJECT [NAMES]
    certificate "$@"
    encoded() { base64 -w 0 "$STATE/keys/$1"; }
    (
        umask 077
        cat >"$STATE/$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: "$API", certificate-authority-data: $(encoded ca.crt)}
users:
- name: $1
  user: {client-certificate-data: $(encoded "$1.crt"), client-key-data: $(encoded "$1.key")}
contexts:
- name: test
  context: {cluster: test, user: $1}
current-context: test
Y
    )
}
