//! What a worker is told of the cluster, over one connection.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::messages::{Identity, NameChange, Targets, ToWorker};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Kubernetes, State, book::Change};

/// How often a worker is told again what it is to capture, whether or not it changed.
pub(crate) const RESTATE: Duration = Duration::from_secs(10);

/// What the worker at the other end of a connection was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The number of the change that follows; `None` before it was told all names.
    names: Option<u64>,
    targets: Option<Arc<Targets>>,
    asked: bool,
}

impl Told {
    /// Forgets that it was told what to capture, so that it is told again.
    pub(crate) fn restate(&mut self) {
        self.targets = None;
    }
}

impl Kubernetes {
    /// The messages that the worker of `node` is due. Names are not told before all were listed: until then a worker
    /// knows better from before.
    pub(crate) fn tell(&self, told: &mut Told, node: &str) -> Result<Vec<Utf8Bytes>, serde_json::Error> {
        let mut state = self.state();
        let mut messages = Vec::new();
        let listed = |wanted: fn(&super::Watch) -> bool| {
            state.watches.values().filter(|watch| wanted(watch)).all(|watch| watch.listed)
        };
        let (names, targets) = (listed(|watch| watch.names), listed(|watch| watch.names || watch.needed));
        if names {
            messages.extend(self.names(&mut state, told)?);
        }
        if targets {
            let targets = state.cluster.targets(node);
            if told.targets.as_ref() != Some(&targets) {
                let message = ToWorker::Targets { targets: (*targets).clone() };
                messages.push(serde_json::to_string(&message)?.into());
                told.targets = Some(targets);
            }
            if !std::mem::replace(&mut told.asked, true) {
                // Once it knows what to capture: whether it does.
                messages.push(serde_json::to_string(&ToWorker::SelfTest { id: 1 })?.into());
            }
        }
        Ok(messages)
    }

    fn names(&self, state: &mut State, told: &mut Told) -> Result<Option<Utf8Bytes>, serde_json::Error> {
        let first = state.next - state.log.len() as u64;
        let message = match told.names {
            Some(next) if next == state.next => None,
            Some(next) if next >= first => {
                let changes = state.log.range((next - first) as usize..);
                Some(self.message(changes, next, false)?)
            }
            _ => match &state.complete {
                // Workers that come together are told the same.
                Some((next, text)) if *next == state.next => Some(text.clone()),
                _ => {
                    let all = state.cluster.names();
                    let text = self.message(all.iter(), state.next - all.len() as u64, true)?;
                    state.complete = Some((state.next, text.clone()));
                    Some(text)
                }
            },
        };
        told.names = Some(state.next);
        Ok(message)
    }

    fn message<'a>(
        &self,
        changes: impl Iterator<Item = &'a Change>,
        from: u64,
        complete: bool,
    ) -> Result<Utf8Bytes, serde_json::Error> {
        let mut identities: Vec<Identity> = Vec::new();
        let mut places: HashMap<*const Identity, u32> = HashMap::new();
        let mut place = |identity: &Arc<Identity>| {
            *places.entry(Arc::as_ptr(identity)).or_insert_with(|| {
                identities.push((**identity).clone());
                identities.len() as u32 - 1
            })
        };
        let changes = changes
            .map(|change| NameChange {
                at: change.at,
                key: change.key,
                identity: change.identity.as_ref().map(&mut place),
            })
            .collect();
        let message = ToWorker::Names { epoch: self.epoch, from, identities, changes, complete };
        Ok(serde_json::to_string(&message)?.into())
    }
}
