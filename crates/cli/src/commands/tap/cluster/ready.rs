//! Waits until what was installed runs, and says why where it does not.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Pod,
};
use kube::Api;
use tokio::time::{Instant, sleep};

use crate::{
    exit::Failure,
    kubernetes::{Cluster, HUB, WORKER},
    settings::Settings,
};

/// How long hub and workers may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits for the hub, and for a worker on every node.
pub(super) async fn wait(cluster: &Cluster, settings: &Settings) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let workers = Cluster {
        namespace: settings.text("tap.workerNamespace").unwrap_or(&cluster.namespace).to_owned(),
        ..cluster.clone()
    };
    loop {
        if hub_is_ready(cluster).await? && workers_are_ready(&workers).await? {
            return Ok(());
        }
        if Instant::now() > deadline {
            let troubles = [troubles(cluster, HUB).await?, troubles(&workers, WORKER).await?].concat();
            let why =
                if troubles.is_empty() { "its pods say nothing".to_owned() } else { troubles.join("\n") };
            return Err(Failure::Failed(format!(
                "Kubeshark is installed but not ready after {} s:\n{why}\n`kubeshark logs` gathers what it says, \
                 `kubeshark clean` removes it",
                PATIENCE.as_secs()
            )));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

async fn hub_is_ready(cluster: &Cluster) -> Result<bool, Failure> {
    let api: Api<Deployment> = cluster.api();
    let hub = api.get("kubeshark-hub").await.map_err(|error| cluster.failure(&error))?;
    let Some(status) = hub.status else { return Ok(false) };
    let wanted = hub.spec.replicas.unwrap_or(1);
    let seen = status.observed_generation >= hub.metadata.generation;
    Ok(seen
        && status.updated_replicas.unwrap_or(0) >= wanted
        && status.available_replicas.unwrap_or(0) >= wanted)
}

async fn workers_are_ready(cluster: &Cluster) -> Result<bool, Failure> {
    let api: Api<DaemonSet> = cluster.api();
    let workers = api.get("kubeshark-worker-daemon-set").await.map_err(|error| cluster.failure(&error))?;
    let Some(status) = workers.status else { return Ok(false) };
    let wanted = status.desired_number_scheduled;
    let seen = status.observed_generation >= workers.metadata.generation;
    Ok(seen
        && wanted > 0
        && status.updated_number_scheduled.unwrap_or(0) >= wanted
        && status.number_ready >= wanted)
}

/// What holds pods back, a line each.
async fn troubles(cluster: &Cluster, labels: &str) -> Result<Vec<String>, Failure> {
    let pods = cluster.pods(labels).await?;
    Ok(pods.iter().filter(|pod| !crate::kubernetes::is_ready(pod)).map(trouble).collect())
}

fn trouble(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or("a pod");
    let Some(status) = &pod.status else { return format!("  {name}: has no status yet") };
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let state = container.state.as_ref()?;
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let waiting = state.waiting.as_ref()?;
        let message = waiting.message.clone().unwrap_or_default();
        let exit = ended.map(|ended| format!(" (it ended with {})", ended.exit_code)).unwrap_or_default();
        Some(format!("{}{exit}: {message}", waiting.reason.clone().unwrap_or_default()))
    });
    let unscheduled = status.conditions.iter().flatten().find_map(|condition| {
        (condition.type_ == "PodScheduled" && condition.status == "False")
            .then(|| condition.message.clone())?
    });
    let why = waiting.or(unscheduled).or(status.message.clone()).or(status.phase.clone());
    format!("  {name}: {}", why.as_deref().unwrap_or("not ready"))
}
