//! Who talked to whom, and where it was seen.

use std::net::IpAddr;

use kfl::Value;

/// One end of a transaction.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// What it is called; empty where nobody knows.
    pub name: Box<str>,
    /// Its namespace; empty outside a cluster.
    pub namespace: Box<str>,
}

impl Endpoint {
    /// An end of which only the address is known.
    pub fn unnamed(ip: IpAddr, port: u16) -> Self {
        Self { ip, port, name: Box::default(), namespace: Box::default() }
    }

    /// Bytes held on the heap.
    pub fn heap_size(&self) -> usize {
        self.name.len() + self.namespace.len()
    }
}

kfl::record! {
    impl Record for Endpoint as end {
        "endpointSlice" => Value::Null,
        "ip" => Value::Address(&end.ip),
        "name" => Value::text(&end.name),
        "namespace" => Value::text(&end.namespace),
        "pod" => Value::Null,
        // A string: the users' filters and scripts compare it with one.
        "port" => Value::Digits(end.port.into()),
        "service" => Value::Null,
    }
}

/// The worker that saw an entry, and its node. Shared by all entries of a worker.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's address.
    pub ip: Box<str>,
    /// The node's name.
    pub name: Box<str>,
    /// The worker as its hub dials it: `address:port`.
    pub worker: Box<str>,
}

kfl::record! {
    impl Record for Node as node {
        "ip" => Value::text(&node.ip),
        "name" => Value::text(&node.name),
    }
}
