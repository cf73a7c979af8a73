//! `kubeshark clean`

use std::{
    io::{self, Write},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use tokio::time::{sleep, timeout};

use crate::{
    exit::{Failure, Outcome},
    kubernetes::{Cluster, OURS, helm},
    serving, settings,
};

/// How long a namespace may take to go.
const PATIENCE: Duration = Duration::from_mins(1);

/// Remove Kubeshark from a cluster
///
/// The release goes, and its namespace where `kubeshark tap` made it. What scripts uploaded stays.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: settings::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let settings = args.settings.load()?;
    serving::run(async {
        let cluster = Cluster::connect(&settings).await?;
        let was_there = helm::uninstall(&settings)?;
        let with_namespace = remove_namespace(&cluster).await?;
        let namespace = &cluster.namespace;
        let said = match (was_there, with_namespace) {
            (_, true) => format!("Kubeshark and its namespace {namespace} are gone."),
            (true, false) => format!("Kubeshark is gone from namespace {namespace}."),
            (false, false) => format!("There is no Kubeshark in namespace {namespace}; -s names another."),
        };
        writeln!(io::stdout(), "{said}")?;
        Ok(())
    })
}

/// Only a namespace that we made is ours to remove.
async fn remove_namespace(cluster: &Cluster) -> Result<bool, Failure> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let get =
        || async { namespaces.get_opt(&cluster.namespace).await.map_err(|error| cluster.failure(&error)) };
    let Some(found) = get().await? else { return Ok(false) };
    let owner = found.metadata.labels.and_then(|mut labels| labels.remove(OURS.0));
    if owner.is_none_or(|owner| owner != OURS.1) {
        return Ok(false);
    }
    let deleted = namespaces.delete(&cluster.namespace, &DeleteParams::default()).await;
    deleted.map_err(|error| cluster.failure(&error))?;
    let gone = async {
        while get().await?.is_some() {
            sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    };
    match timeout(PATIENCE, gone).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Err(Failure::Failed(format!(
            "namespace {} is still going after {} s; kubectl get all -n {0} says what holds it",
            cluster.namespace,
            PATIENCE.as_secs()
        ))),
    }
}
