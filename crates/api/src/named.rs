//! Whose an address was: what Kubernetes calls it, as entries show it.

use std::{collections::BTreeMap, sync::Arc};

use kfl::{OrNull, Record, Value, View};

use crate::messages::{Identity, IdentityKind, Owner, PodRef};

/// Somebody in the cluster. Shared by all entries in which it has a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Somebody {
    identity: Identity,
    /// `service.namespace`, or whatever comes nearest.
    name: Box<str>,
}

impl Somebody {
    /// With the name under which people look for it: that of its service, as the original had it, else that of the pod;
    /// each with its namespace. A node has its own.
    pub fn new(identity: Identity) -> Self {
        let name = match identity.kind {
            IdentityKind::Node => identity.name.clone(),
            IdentityKind::Service | IdentityKind::Pod => {
                let first = identity.service.as_deref().unwrap_or(&identity.name);
                format!("{first}.{}", identity.namespace)
            }
        };
        Self { identity, name: name.into() }
    }

    /// What the cluster says of it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// `service.namespace`, `pod.namespace` or the node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the two are one object, whatever was changed of it. A pod of the same name that came later is another.
    pub fn is(&self, other: &Self) -> bool {
        let (this, that) = (&self.identity, &other.identity);
        (this.kind, &this.namespace, &this.name, uid(this))
            == (that.kind, &that.namespace, &that.name, uid(that))
    }

    fn pod(&self) -> Option<PodObject<'_>> {
        self.identity.pod.as_ref().map(|pod| PodObject { identity: &self.identity, pod })
    }

    fn service(&self) -> Option<Object<'_>> {
        let own = (self.identity.kind == IdentityKind::Service).then_some(&self.identity.name);
        self.object(own.or(self.identity.service.as_ref()))
    }

    fn endpoint_slice(&self) -> Option<Object<'_>> {
        self.object(self.identity.endpoint_slice.as_ref())
    }

    fn object<'a>(&'a self, name: Option<&'a String>) -> Option<Object<'a>> {
        name.map(|name| Object { name, namespace: &self.identity.namespace })
    }

    fn node(&self) -> Option<&str> {
        match &self.identity.pod {
            Some(pod) => Some(&pod.node),
            None => (self.identity.kind == IdentityKind::Node).then_some(self.identity.name.as_str()),
        }
    }
}

fn uid(identity: &Identity) -> Option<&str> {
    identity.pod.as_ref().map(|pod| pod.uid.as_str())
}

/// Whose an end of a transaction was, and how it is known.
#[derive(Clone, Debug)]
pub struct Named {
    /// Who.
    pub who: Arc<Somebody>,
    /// How it is known.
    pub by: Mechanism,
}

/// How a name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// By the address.
    Ip,
    /// By address and port.
    IpAndPort,
    /// By the address of a node, which whatever runs on the node's network shares: it may be any of that.
    Shared,
}

/// An end's fields that are more than its address.
pub(crate) struct Fields<'a>(pub(crate) Option<&'a Named>);

impl<'a> Fields<'a> {
    fn who(&self) -> Option<&'a Somebody> {
        self.0.map(|named| &*named.who)
    }

    pub(crate) fn ambiguous(&self) -> Option<Value<'a>> {
        self.0.filter(|named| named.by == Mechanism::Shared).map(|_| Value::Bool(true))
    }

    pub(crate) fn endpoint_slice(&self) -> OrNull<View<Object<'a>>> {
        OrNull(self.who().and_then(Somebody::endpoint_slice).map(View))
    }

    pub(crate) fn name(&self) -> Value<'a> {
        Value::text(self.who().map_or("", Somebody::name))
    }

    pub(crate) fn namespace(&self) -> Value<'a> {
        Value::text(self.who().map_or("", |who| &who.identity.namespace))
    }

    pub(crate) fn node(&self) -> Option<View<Called<'a>>> {
        self.who().and_then(Somebody::node).map(|name| View(Called { name }))
    }

    pub(crate) fn pod(&self) -> OrNull<View<PodObject<'a>>> {
        OrNull(self.who().and_then(Somebody::pod).map(View))
    }

    pub(crate) fn mechanism(&self) -> Option<Value<'a>> {
        self.0.map(|named| match named.by {
            Mechanism::Ip | Mechanism::Shared => Value::text("ip"),
            Mechanism::IpAndPort => Value::text("ip-and-port"),
        })
    }

    pub(crate) fn service(&self) -> OrNull<View<Object<'a>>> {
        OrNull(self.who().and_then(Somebody::service).map(View))
    }

    pub(crate) fn workload(&self) -> Option<Value<'a>> {
        let owner = self.who()?.identity.pod.as_ref()?.owner.as_ref()?;
        Some(Value::record(owner))
    }
}

/// An object of which only the name is known.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    name: &'a str,
    namespace: &'a str,
}

kfl::record! {
    impl Record for Object<'_> as object {
        "metadata" => View(Metadata(*object)),
    }
}

struct Metadata<'a>(Object<'a>);

kfl::record! {
    impl Record for Metadata<'_> as metadata {
        "name" => Value::text(metadata.0.name),
        "namespace" => Value::text(metadata.0.namespace),
    }
}

/// A pod, laid out as Kubernetes does.
#[derive(Clone, Copy)]
pub(crate) struct PodObject<'a> {
    identity: &'a Identity,
    pod: &'a PodRef,
}

kfl::record! {
    impl Record for PodObject<'_> as object {
        "metadata" => View(PodMetadata(*object)),
        "spec" => View(PodSpec(object.pod)),
    }
}

struct PodMetadata<'a>(PodObject<'a>);

kfl::record! {
    impl Record for PodMetadata<'_> as metadata {
        "labels" => View(Labels(&metadata.0.pod.labels)),
        "name" => Value::text(&metadata.0.pod.name),
        "namespace" => Value::text(&metadata.0.identity.namespace),
        "uid" => Value::text(&metadata.0.pod.uid),
    }
}

struct PodSpec<'a>(&'a PodRef);

kfl::record! {
    impl Record for PodSpec<'_> as spec {
        "hostNetwork" => Value::Bool(spec.0.host_network),
        "nodeName" => Value::text(&spec.0.node),
    }
}

/// Labels: any name is possible.
struct Labels<'a>(&'a BTreeMap<String, String>);

impl Record for Labels<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.0.get(key).map(|value| Value::text(value))
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (key, value) in self.0 {
            visit(key, Value::text(value));
        }
    }
}

/// Something of which only a name is told.
pub(crate) struct Called<'a> {
    name: &'a str,
}

kfl::record! {
    impl Record for Called<'_> as called {
        "name" => Value::text(called.name),
    }
}

kfl::record! {
    impl Record for Owner as owner {
        "kind" => Value::text(&owner.kind),
        "name" => Value::text(&owner.name),
    }
}
