//! Which pods are tapped, in words, before anything is installed.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use regex::Regex;

use crate::{exit::Failure, kubernetes::Cluster, settings::Settings};

/// Pods that are named; of more, how many.
const NAMED: usize = 20;

/// The image, the namespaces and the pods, a line each.
pub(super) async fn describe(cluster: &Cluster, settings: &Settings) -> Result<String, Failure> {
    let regex = settings.text("tap.regex").unwrap_or(".*");
    let regex = Regex::new(regex).map_err(|error| Failure::Usage(format!("tap.regex: {error}")))?;
    let (wanted, unwanted) = (settings.list("tap.namespaces"), settings.list("tap.excludedNamespaces"));
    let mut about = format!("Tapping pods of {}", cluster.url.trim_end_matches('/'));
    for (words, namespaces) in [(", of namespaces ", &wanted), (", not of namespaces ", &unwanted)] {
        if !namespaces.is_empty() {
            about.extend([words, &namespaces.join(", ")]);
        }
    }
    let mut lines = vec![about];
    let listing = ListParams::default()
        .fields("status.phase=Running")
        .labels(settings.text("tap.labelSelector").unwrap_or_default());
    let pods = match wanted.as_slice() {
        [] => list(cluster, &Api::all(cluster.client.clone()), &listing).await?,
        namespaces => {
            let mut pods = Vec::new();
            for namespace in namespaces {
                let api = Api::namespaced(cluster.client.clone(), namespace);
                pods.extend(list(cluster, &api, &listing).await?);
            }
            pods
        }
    };
    let mut names: Vec<String> = pods
        .into_iter()
        .filter_map(|pod| Some((pod.metadata.namespace?, pod.metadata.name?)))
        .filter(|(namespace, name)| !unwanted.contains(namespace) && regex.is_match(name))
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect();
    names.sort();
    lines.extend(names.iter().take(NAMED).map(|name| format!("+ {name}")));
    match names.len() {
        0 => {
            lines.push("No running pod is among them yet; those that come are tapped when they come.".into());
        }
        all if all > NAMED => lines.push(format!("and {} more", all - NAMED)),
        _ => {}
    }
    Ok(lines.join("\n") + "\n")
}

async fn list(cluster: &Cluster, api: &Api<Pod>, listing: &ListParams) -> Result<Vec<Pod>, Failure> {
    api.list(listing).await.map(|list| list.items).map_err(|error| cluster.failure(&error))
}
