//! From an address to a server that runs until it is told to stop.

use std::{io, net::SocketAddr};

use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;
use tracing::debug;

use crate::Shutdown;

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
pub async fn serve(listener: TcpListener, router: Router, mut shutdown: Shutdown) -> io::Result<()> {
    // Entries are flushed when there is nothing to add to them; the kernel should not wait for more.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "Small writes to a client may be delayed");
        }
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await
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
