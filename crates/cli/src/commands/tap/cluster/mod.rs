//! The pods of a cluster: Kubeshark is installed there, and its hub brought to a port of this machine.

mod ready;
mod scripts;
mod targets;

use std::io::{self, Write};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PostParams};
use serde_json::{from_value, json};
use tokio::task::spawn_blocking;

use self::scripts::Scripts;
use crate::{
    commands::proxy,
    exit::{Failure, Outcome},
    kubernetes::{Cluster, OURS, helm},
    serving,
    settings::Settings,
};

/// Which pods, and how they are tapped.
#[derive(clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Args {
    /// Only pods whose name this regular expression finds
    #[arg(value_name = "POD REGEX", conflicts_with_all = ["pcap", "interface"])]
    regex: Option<String>,
    /// Only pods of these namespaces
    #[arg(short, long, value_name = "NAMESPACE,…", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// No pods of these namespaces
    #[arg(
        short,
        long,
        visible_alias = "excludedNamespaces",
        value_name = "NAMESPACE,…",
        value_delimiter = ','
    )]
    excluded_namespaces: Vec<String>,
    /// Pods of all namespaces, whatever the settings say
    #[arg(short = 'A', long = "allnamespaces", conflicts_with = "namespaces")]
    all_namespaces: bool,
    /// Where the image comes from
    #[arg(short = 'r', long, value_name = "REGISTRY")]
    docker_registry: Option<String>,
    /// Its tag
    #[arg(short = 't', long, value_name = "TAG")]
    docker_tag: Option<String>,
    /// When it is pulled: `Always`, `IfNotPresent` or `Never`
    #[arg(long, alias = "docker-imagepullpolicy", alias = "docker-imagePullPolicy", value_name = "POLICY")]
    docker_image_pull_policy: Option<String>,
    /// What a worker and the hub may keep on disk
    #[arg(long, alias = "storagelimit", alias = "storageLimit", value_name = "QUANTITY")]
    storage_limit: Option<String>,
    /// Workers stay away from tainted nodes
    #[arg(long, alias = "ignoreTainted")]
    ignore_tainted: bool,
    /// Only say which pods would be tapped
    #[arg(long, alias = "dryrun", alias = "dryRun")]
    dry_run: bool,
}

impl Args {
    /// Lays what was typed over the settings.
    fn apply(&self, settings: &mut Settings) {
        if self.all_namespaces {
            settings.set("tap.namespaces", json!([]));
        }
        let lists =
            [("tap.namespaces", &self.namespaces), ("tap.excludedNamespaces", &self.excluded_namespaces)];
        for (path, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            settings.set(path, json!(list));
        }
        for (path, text) in [
            ("tap.regex", &self.regex),
            ("tap.docker.registry", &self.docker_registry),
            ("tap.docker.tag", &self.docker_tag),
            ("tap.docker.imagePullPolicy", &self.docker_image_pull_policy),
            ("tap.storageLimit", &self.storage_limit),
        ] {
            if let Some(text) = text {
                settings.set(path, json!(text));
            }
        }
        for (path, is_on) in [("tap.ignoreTainted", self.ignore_tainted), ("tap.dryRun", self.dry_run)] {
            if is_on {
                settings.set(path, json!(true));
            }
        }
    }
}

pub(super) fn run(args: &super::Args) -> Outcome {
    let mut settings = args.settings.load()?;
    args.pods.apply(&mut settings);
    let address = args.proxy.address(&settings)?;
    serving::run(async {
        let cluster = Cluster::connect(&settings).await?;
        let mut out = io::stdout();
        out.write_all(targets::describe(&cluster, &settings).await?.as_bytes())?;
        if settings.is_on("tap.dryRun") {
            return Ok(());
        }
        let scripts = Scripts::open(&mut settings, &args.scripts)?;
        make_namespace(&cluster).await?;
        writeln!(out, "Installing into namespace {} …", cluster.namespace)?;
        let given = settings.clone();
        spawn_blocking(move || helm::install(&given)).await.map_err(|error| Failure::of(&error))??;
        let forward = proxy::hub(cluster.clone(), address).await?;
        tokio::select! {
            stopped = serving::asked_to_stop() => {
                stopped.map_err(|error| Failure::of(&error))?;
                return goodbye();
            }
            ready = ready::wait(&cluster, &settings) => ready?,
        }
        proxy::greet("taps the cluster", &forward)?;
        let watching = scripts.watch(&cluster);
        tokio::select! {
            stopped = serving::asked_to_stop() => {
                stopped.map_err(|error| Failure::of(&error))?;
                goodbye()
            }
            never = forward.run() => match never {},
            outcome = watching => outcome,
        }
    })
}

fn goodbye() -> Outcome {
    writeln!(
        io::stdout(),
        "\nKubeshark stays in the cluster. `kubeshark proxy` brings it back to this machine, `kubeshark clean` removes it."
    )?;
    Ok(())
}

/// The release's namespace, where it is not there yet: one that lets workers use the network of their nodes.
async fn make_namespace(cluster: &Cluster) -> Result<(), Failure> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    match namespaces.get_opt(&cluster.namespace).await {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => {}
        // Who may not look may still install into what is there.
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
        Err(error) => return Err(cluster.failure(&error)),
    }
    let labels = json!({OURS.0: OURS.1, "pod-security.kubernetes.io/enforce": "privileged"});
    let namespace = json!({"metadata": {"name": cluster.namespace, "labels": labels}});
    let namespace = from_value(namespace).map_err(|error| Failure::of(&error))?;
    let made = namespaces.create(&PostParams::default(), &namespace).await;
    made.map(drop).map_err(|error| cluster.failure(&error))
}
