//! The release's `ConfigMap`, written with compare-and-swap: of several hubs behind one Service none overwrites what
//! another wrote, and each hears of it by its watch.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use tokio::time::{sleep, timeout};

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
    #[error("no ConfigMap keeps what is changed; start the hub with --config-map")]
    Unnamed,
    #[error("the ConfigMap {name} cannot be changed: {why}")]
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
