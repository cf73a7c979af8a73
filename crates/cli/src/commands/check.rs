//! `kubeshark check`

use std::io::{self, Write};

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::{Api, api::PostParams};
use serde_json::{from_value, json};

use crate::{
    exit::{Failure, Outcome},
    kubernetes::{Cluster, HUB, WORKER, helm, is_ready},
    serving, settings,
};

/// The first release of Kubernetes with what we watch (`EndpointSlices`, v1).
const OLDEST: (u32, u32) = (1, 21);

/// What installing takes: verb, group, resource, and whether it is in the release's namespace.
const RIGHTS: &[(&str, &str, &str, bool)] = &[
    ("list", "", "pods", false),
    ("create", "", "namespaces", false),
    ("create", "apps", "deployments", true),
    ("create", "apps", "daemonsets", true),
    ("create", "", "services", true),
    ("create", "", "secrets", true),
    ("create", "", "configmaps", true),
    ("create", "", "serviceaccounts", true),
    ("create", "rbac.authorization.k8s.io", "roles", true),
    ("create", "rbac.authorization.k8s.io", "rolebindings", true),
    ("create", "rbac.authorization.k8s.io", "clusterroles", false),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", false),
    ("create", "", "pods/portforward", true),
];

/// Say whether a cluster is as Kubeshark needs it
///
/// Exits with 1 where something is missing.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: settings::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let settings = args.settings.load()?;
    serving::run(async {
        let mut report = Report { failed: false };
        let helm = helm::version();
        report.line("helm", helm.as_deref().map(Some).map_err(Failure::why))?;
        let cluster = Cluster::connect(&settings).await?;
        let version = version(&cluster).await?;
        report.line(
            "Kubernetes",
            version.as_ref().map(|version| Some(version.as_str())).map_err(String::as_str),
        )?;
        for (verb, group, resource, namespaced) in RIGHTS {
            let allowed = may(&cluster, verb, group, resource, *namespaced).await?;
            let what = format!("may {verb} {resource}");
            report.line(&what, if allowed { Ok(None) } else { Err("your account may not") })?;
        }
        for (what, labels) in [("hub", HUB), ("workers", WORKER)] {
            let pods = cluster.pods(labels).await?;
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            let said = format!("{ready} of {} ready", pods.len());
            match pods.len() {
                0 => report.line(what, Ok(Some("not installed")))?,
                all if all == ready => report.line(what, Ok(Some(&said)))?,
                _ => report.line(what, Err(&said))?,
            }
        }
        if report.failed { Err(Failure::Told) } else { Ok(()) }
    })
}

struct Report {
    failed: bool,
}

impl Report {
    fn line(&mut self, what: &str, found: Result<Option<&str>, &str>) -> io::Result<()> {
        let (mark, said) = match found {
            Ok(said) => ("ok  ", said),
            Err(why) => ("FAIL", Some(why)),
        };
        self.failed |= found.is_err();
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        writeln!(io::stdout(), "{mark} {what}{said}")
    }
}

/// The cluster's, or why it is too old.
async fn version(cluster: &Cluster) -> Result<Result<String, String>, Failure> {
    let info = cluster.client.apiserver_version().await.map_err(|error| cluster.failure(&error))?;
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
    let (major, minor) = (number(&info.major), number(&info.minor));
    if (major, minor) < OLDEST {
        return Ok(Err(format!("{} is older than {}.{}", info.git_version, OLDEST.0, OLDEST.1)));
    }
    Ok(Ok(info.git_version))
}

async fn may(
    cluster: &Cluster,
    verb: &str,
    group: &str,
    resource: &str,
    namespaced: bool,
) -> Result<bool, Failure> {
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let namespace = if namespaced { cluster.namespace.as_str() } else { "" };
    let asked = json!({"metadata": {}, "spec": {"resourceAttributes": {
        "verb": verb, "group": group, "resource": resource, "subresource": part, "namespace": namespace,
    }}});
    let asked: SelfSubjectAccessReview = from_value(asked).map_err(|error| Failure::of(&error))?;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = reviews.create(&PostParams::default(), &asked).await;
    let answer = answer.map_err(|error| cluster.failure(&error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
