//! A port of this machine that is a port of a pod.
//!
//! Each connection finds the pod anew, so that one which was replaced is no end.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::{debug, warn};
use web::tls::Keys;

use super::{Cluster, is_ready};
use crate::exit::Failure;

/// Connections at a time; more wait.
const MOST: usize = 256;

/// How long a connection waits for a pod that can take it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The hub's port, by its name.
pub(crate) const HTTP: &str = "http";

/// A worker's port, by its name.
pub(crate) const HTTPS: &str = "https";

/// Where connections go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The pods' label.
    pub(crate) labels: &'static str,
    /// The name of their port.
    pub(crate) port: &'static str,
    /// The node on which the pod is; any will do where it is `None`.
    pub(crate) node: Option<String>,
    /// With which we speak TLS to the pod, so that whoever is at our end need not.
    pub(crate) keys: Option<Keys>,
}

/// A listener on this machine.
pub(crate) struct Forward {
    listener: TcpListener,
    cluster: Cluster,
    target: Target,
}

impl Forward {
    /// Listens; connects nowhere yet.
    pub(crate) async fn bind(cluster: Cluster, address: SocketAddr, target: Target) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Failure::Failed(format!(
                "cannot listen at {address}: {error}; --proxy-front-port names another port"
            ))
        })?;
        Ok(Self { listener, cluster, target })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Carries connections until its future is dropped.
    pub(crate) async fn run(self) -> Infallible {
        let room = Arc::new(Semaphore::new(MOST));
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (cluster, target) = (self.cluster.clone(), self.target.clone());
                    tokio::spawn(async move {
                        carry(&cluster, &target, stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "A connection was not accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn carry(cluster: &Cluster, target: &Target, mut stream: TcpStream) {
    let (pod, port) = match timeout(PATIENCE, found(cluster, target)).await {
        Ok(Ok(found)) => found,
        Ok(Err(failure)) => return warn!("A connection goes nowhere: {}", failure.why()),
        Err(_) => return warn!("A connection goes nowhere: no pod with {} is ready", target.labels),
    };
    let forwarded = async {
        let mut forwarder = cluster.api::<Pod>().portforward(&pod, &[port]).await?;
        let Some(mut upstream) = forwarder.take_stream(port) else { return Ok(()) };
        let copied = match &target.keys {
            None => copy_bidirectional(&mut stream, &mut upstream).await,
            Some(keys) => match keys.dial(upstream).await {
                Ok(mut upstream) => copy_bidirectional(&mut stream, &mut upstream).await,
                Err(error) => {
                    warn!(%error, pod, "A connection goes nowhere: the worker has other keys, or does not answer");
                    Ok((0, 0))
                }
            },
        };
        if let Err(error) = copied {
            debug!(%error, pod, "A connection ended");
        }
        forwarder.abort();
        Ok::<_, kube::Error>(())
    };
    if let Err(error) = forwarded.await {
        warn!(pod, "A connection goes nowhere: {}", crate::exit::chain(&error));
    }
}

/// A ready pod and its port, as soon as there is one.
async fn found(cluster: &Cluster, target: &Target) -> Result<(String, u16), Failure> {
    loop {
        let pods = cluster.pods(target.labels).await?;
        let is_there = |pod: &Pod| target.node.is_none() || target.node.as_deref() == node(pod);
        let ready = pods.into_iter().filter(is_ready).filter(is_there).find_map(|pod| {
            let port = port(&pod, target.port)?;
            Some((pod.metadata.name?, port))
        });
        match ready {
            Some(found) => return Ok(found),
            None => sleep(Duration::from_millis(300)).await,
        }
    }
}

/// The node of a pod.
pub(crate) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = &pod.spec.as_ref()?.containers;
    let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}
