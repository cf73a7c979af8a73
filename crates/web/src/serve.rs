//! From an address to a server that runs until it is told to stop.

use std::{io, net::SocketAddr};

use axum::{
    Router,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::{
    Shutdown,
    tls::{Caller, Keys, TlsListener},
};

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else does.
    #[error(
        "{address} is in use by another process; stop that (`ss -ltnp 'sport = :{port}'` names it), or choose another port",
        port = address.port()
    )]
    InUse {
        /// Where it should have listened.
        address: SocketAddr,
    },
    /// The port is a privileged one.
    #[error(
        "may not listen on {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another port"
    )]
    Denied {
        /// Where it should have listened.
        address: SocketAddr,
    },
    /// The address belongs to another machine.
    #[error("{address} is not an address of this machine; 127.0.0.1 always is")]
    NotHere {
        /// Where it should have listened.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Other {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Listens on `address`; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        io::ErrorKind::PermissionDenied => BindError::Denied { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Other { address, source },
    })
}

/// Answers requests until the shutdown is asked for; then takes no new ones and ends when the open ones are answered.
/// With keys it speaks TLS only.
pub async fn serve(
    listener: TcpListener,
    keys: Option<&Keys>,
    router: Router,
    mut shutdown: Shutdown,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Caller>();
    let asked = async move { shutdown.requested().await };
    match keys {
        Some(keys) => axum::serve(keys.listen(listener), service).with_graceful_shutdown(asked).await,
        None => axum::serve(Plain(listener), service).with_graceful_shutdown(asked).await,
    }
}

/// A listener whose connections wait for nothing more to be said.
struct Plain(TcpListener);

impl Listener for Plain {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Entries are flushed when there is nothing to add to them; the kernel should not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "Small writes to a client may be delayed");
        }
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Plain>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Plain>) -> Self {
        Self { address: *stream.remote_addr(), is_hub: false }
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_a_way_out() {
        let first = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).await.unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains(&address.to_string()));
        assert!(error.to_string().contains("choose another port"));
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        // TEST-NET-1 of RFC 5737 belongs to nobody.
        let error = bind(([192, 0, 2, 1], 0).into()).await.unwrap_err();
        assert!(error.to_string().starts_with("192.0.2.1:0 is not an address of this machine"), "{error}");
    }
}
