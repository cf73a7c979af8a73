//! The release's `ConfigMap`, written with compare-and-swap: of several hubs behind one Service none overwrites what
//! another wrote, and each hears of it by its watch.

use std::{collections::BTreeMap, time::Duration};

use api::messages::Env;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::scripts::{
    Order, ScriptError, Scripts,
    release::{self, Released},
};

use super::{Kubernetes, TargetConfig, TargetError, Wish, chain, settings, settings::Rule};

/// How often a change is tried when others change the same.
const TRIES: u32 = 10;

/// How long all tries may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a change was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    #[error(transparent)]
    Targets(#[from] TargetError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("the scripts that the release keeps cannot be read: {0}")]
    Unreadable(String),
    #[error("no ConfigMap keeps what is changed; start the hub with --config-map")]
    Unnamed,
    #[error("{name} cannot be changed: {why}")]
    Refused { name: String, why: String },
    #[error("the ConfigMap {0} was changed by others again and again; try later")]
    Contended(String),
    #[error("the API server did not answer in {0:?}; try later")]
    TimedOut(Duration),
}

impl Kubernetes {
    /// Changes which pods are captured, here and at every other hub of the release; gives the rule that there is now.
    pub(crate) async fn retarget(&self, wish: &Wish) -> Result<TargetConfig, MapError> {
        let targets = self
            .swap(|data| {
                // Names are put in order before they are kept.
                let wanted = wish.on(&settings::targets(data, &self.config.targets));
                let targets = Rule::new(wanted)?.config().clone();
                settings::write(&targets, data);
                Ok(targets)
            })
            .await?;
        // The watch says the same in a moment; who was answered need not wait for it.
        self.follow(targets.clone());
        Ok(targets)
    }

    /// Whether scripts are kept in a `ConfigMap`.
    pub(crate) fn keeps_scripts(&self) -> bool {
        self.config.config_map.is_some()
    }

    /// Keeps what a request wants of scripts, for every hub of the release; gives the script's number and what the release
    /// says now.
    pub(crate) async fn keep_scripts(
        &self,
        scripts: &Scripts,
        order: &Order,
    ) -> Result<(u32, Released), MapError> {
        self.swap(|data| {
            let released = Released::read(data).map_err(MapError::Unreadable)?;
            let (index, released) = scripts.rehearse(&released, order.clone())?;
            released.write(data);
            Ok((index, released))
        })
        .await
    }

    /// Whether the variables of scripts are kept in a `Secret`.
    pub(crate) fn keeps_env(&self) -> bool {
        self.config.secret.is_some()
    }

    /// Keeps the variables of scripts.
    pub(crate) async fn keep_env(&self, env: &Env) -> Result<(), MapError> {
        let Some(name) = &self.config.secret else { return Ok(()) };
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.config.namespace);
        // All of it is new, so that nothing of another hub's can be lost but what was to be replaced.
        let patch =
            Patch::Merge(json!({ "stringData": { release::ENV: Value::Object(env.clone()).to_string() } }));
        let parameters = PatchParams::default();
        let patching = api.patch(name, &parameters, &patch);
        match timeout(PATIENCE, patching).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MapError::Refused { name: name.clone(), why: chain(&error) }),
            Err(_) => Err(MapError::TimedOut(PATIENCE)),
        }
    }

    /// Changes the data of the `ConfigMap`. `change` is called anew where another hub was faster.
    async fn swap<T>(
        &self,
        change: impl Fn(&mut BTreeMap<String, String>) -> Result<T, MapError>,
    ) -> Result<T, MapError> {
        let name = self.config.config_map.as_ref().ok_or(MapError::Unnamed)?;
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.config.namespace);
        let refused = |error: &kube::Error| MapError::Refused { name: name.clone(), why: chain(error) };
        let swapping = async {
            let _one = self.writing.lock().await;
            for attempt in 0..TRIES {
                let mut map = api.get(name).await.map_err(|error| refused(&error))?;
                let data = map.data.get_or_insert_default();
                let before = data.clone();
                let done = change(data)?;
                if *data == before {
                    return Ok(done);
                }
                // It names the version that was read, and is refused if there is another by now.
                match api.replace(name, &PostParams::default(), &map).await {
                    Ok(_) => return Ok(done),
                    Err(kube::Error::Api(status)) if status.code == 409 => {
                        sleep(Duration::from_millis(10 << attempt.min(6))).await;
                    }
                    Err(error) => return Err(refused(&error)),
                }
            }
            Err(MapError::Contended(name.clone()))
        };
        timeout(PATIENCE, swapping).await.map_err(|_| MapError::TimedOut(PATIENCE))?
    }
}
