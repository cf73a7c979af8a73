//! A cluster, as somebody with a kubeconfig has it.

pub(crate) mod chart;
pub(crate) mod forward;
pub(crate) mod helm;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{exit::Failure, settings::Settings};

/// By which the pods of a release are found.
pub(crate) const HUB: &str = "app.kubeshark.co/app=hub";
/// The same of workers.
pub(crate) const WORKER: &str = "app.kubeshark.co/app=worker";

/// The label of a namespace that we made.
pub(crate) const OURS: (&str, &str) = ("app.kubernetes.io/managed-by", "kubeshark");

/// A cluster and the namespace of our release in it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// Where its API is.
    pub(crate) url: String,
}

impl Cluster {
    /// The cluster that the kubeconfig names: that of `kube.configPath`, else `KUBECONFIG`, else `~/.kube/config`.
    pub(crate) async fn connect(settings: &Settings) -> Result<Self, Failure> {
        let config = match settings.text("kube.configPath") {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let unusable = |error: &dyn std::error::Error| {
            Failure::Failed(format!(
                "no cluster: {}. Name a kubeconfig with KUBECONFIG or --set kube.configPath=FILE; \
                 without a cluster, say kubeshark tap -i any to watch this machine, or --pcap FILE",
                crate::exit::chain(error)
            ))
        };
        let config = config.map_err(|error| unusable(&error))?;
        let options = KubeConfigOptions {
            context: settings.text("kube.context").map(Into::into),
            ..Default::default()
        };
        let config =
            Config::from_custom_kubeconfig(config, &options).await.map_err(|error| unusable(&error))?;
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| unusable(&error))?;
        Ok(Self { client, namespace: settings.namespace().to_owned(), url })
    }

    /// The objects of a kind in the release's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        <K as kube::Resource>::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Our pods with this label.
    pub(crate) async fn pods(&self, labels: &str) -> Result<Vec<Pod>, Failure> {
        let listed = self.api::<Pod>().list(&ListParams::default().labels(labels)).await;
        listed.map(|list| list.items).map_err(|error| self.failure(&error))
    }

    /// What the API server's no means.
    pub(crate) fn failure(&self, error: &kube::Error) -> Failure {
        match error {
            kube::Error::Api(status) if status.code == 403 => {
                Failure::Failed(format!("your account may not: {}", status.message))
            }
            kube::Error::Api(status) => Failure::Failed(format!("the cluster says: {}", status.message)),
            error => Failure::Failed(format!(
                "the cluster at {} does not answer: {}",
                self.url,
                crate::exit::chain(error)
            )),
        }
    }
}

/// Whether a pod takes requests.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}
