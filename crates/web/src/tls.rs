//! Hub and workers know each other by certificates of one authority.
//!
//! ```text
//!   hub ── certificate kubeshark-hub ────────────▶ worker     the right to ask for everything
//!   hub ◀──────────── certificate kubeshark-worker ── worker  it is the one that was dialled
//!   kubelet, Prometheus ── no certificate ───────▶ worker     health and metrics only
//! ```
//! What counts is the name in a certificate, not the address: workers are dialled by the addresses of their nodes.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::serve::Listener;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ParsedCertificate, WebPkiClientVerifier},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server::TlsStream};
use tracing::debug;

/// The name in the certificate of a hub: whoever shows it may ask for everything.
pub const HUB: &str = "kubeshark-hub";

/// The name in the certificate of every worker.
pub const WORKER: &str = "kubeshark-worker";

/// Handshakes at a time; whoever comes next waits.
const HANDSHAKES: usize = 64;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why keys are of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read.
    #[error("cannot read {file}; a directory of keys holds ca.crt, tls.crt and tls.key")]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{what} holds no {kind} in PEM")]
    Empty {
        /// The file's name.
        what: &'static str,
        /// What was looked for.
        kind: &'static str,
    },
    /// The key is not that of the certificate, or one of them is of an unknown kind.
    #[error("tls.crt and tls.key, or ca.crt, cannot be used")]
    Unusable(#[source] rustls::Error),
    /// The authority is none.
    #[error("ca.crt cannot be used: {0}")]
    Authority(String),
}

/// A certificate, its key, and the authority that both sides trust: it is the only one.
#[derive(Clone, Debug)]
pub struct Keys {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Keys {
    /// Those in a directory: `ca.crt`, `tls.crt` and `tls.key`, as a Secret of type `kubernetes.io/tls` has them.
    pub fn load(directory: &Path) -> Result<Self, KeysError> {
        let read = |name: &str| {
            let file = directory.join(name);
            fs::read(&file).map_err(|source| KeysError::Read { file, source })
        };
        Self::from_pem(&read("ca.crt")?, &read("tls.crt")?, &read("tls.key")?)
    }

    /// Those in the text of such files.
    pub fn from_pem(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, KeysError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("ca.crt", authority)? {
            roots.add(root).map_err(KeysError::Unusable)?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("tls.crt", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| KeysError::Empty { what: "tls.key", kind: "private key" })?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| KeysError::Authority(error.to_string()))?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(KeysError::Unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(KeysError::Unusable)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(KeysError::Unusable)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(KeysError::Unusable)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    /// Speaks TLS to a worker over `stream`; whoever is at its other end must be one.
    pub async fn dial<S>(&self, stream: S) -> io::Result<client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(WORKER).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await
    }

    /// Takes connections of `listener`, once both sides have said who they are.
    pub(crate) fn listen(&self, listener: TcpListener) -> TlsListener {
        TlsListener {
            listener,
            acceptor: TlsAcceptor::from(Arc::clone(&self.server)),
            handshakes: JoinSet::new(),
        }
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, KeysError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or(KeysError::Empty { what, kind: "certificate" })
}

/// A listener whose connections speak TLS. One client's handshake does not wait for another's.
pub(crate) struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<Met>>,
}

/// A client after the handshake.
type Met = (TlsStream<TcpStream>, Caller);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    /// Whether it has shown the certificate of a hub.
    pub(crate) is_hub: bool,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Caller;

    /// Cancel-safe: handshakes live in the listener.
    async fn accept(&mut self) -> Met {
        loop {
            tokio::select! {
                (stream, address) = Listener::accept(&mut self.listener), if self.handshakes.len() < HANDSHAKES => {
                    self.handshakes.spawn(greet(self.acceptor.clone(), stream, address));
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(met)) = done {
                        return met;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Ok(Caller { address: self.listener.local_addr()?, is_hub: false })
    }
}

async fn greet(acceptor: TlsAcceptor, stream: TcpStream, address: SocketAddr) -> Option<Met> {
    let greeting = async {
        stream.set_nodelay(true)?;
        acceptor.accept(stream).await
    };
    match timeout(PATIENCE, greeting).await {
        Ok(Ok(stream)) => {
            let is_hub = is_hub(stream.get_ref().1.peer_certificates());
            Some((stream, Caller { address, is_hub }))
        }
        Ok(Err(error)) => {
            debug!(%error, %address, "A client does not speak TLS as it should");
            None
        }
        Err(_) => {
            debug!(%address, "A client's handshake took too long");
            None
        }
    }
}

/// Whether the certificate is that of a hub. That the authority made it is known by now.
fn is_hub(chain: Option<&[CertificateDer<'_>]>) -> bool {
    let (Some(certificate), Ok(name)) =
        (chain.and_then(<[_]>::first).map(ParsedCertificate::try_from), ServerName::try_from(HUB))
    else {
        return false;
    };
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
}
