//! The parent, as helpers see it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::sync::oneshot;

use super::output::Queue;
use crate::{Answer, Host, Request, lock, wire::FromScripts};

/// Asks through the pipe. A script asks one thing at a time, so what is asked is bounded.
pub(super) struct Remote {
    queue: Arc<Queue>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
}

impl Remote {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, asked: Mutex::default() }
    }

    /// The parent answered.
    pub(super) fn answer(&self, id: u64, result: Result<Value, String>) {
        let waiting = lock(&self.asked).waiting.remove(&id);
        if let Some(waiting) = waiting {
            // Who asked may have gone.
            drop(waiting.send(result));
        }
    }
}

impl Host for Remote {
    fn ask(&self, request: Request) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let mut asked = lock(&self.asked);
        asked.last += 1;
        let id = asked.last;
        asked.waiting.insert(id, sender);
        drop(asked);
        self.queue.send(&FromScripts::Ask { id, request });
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err("the worker has gone".to_owned())) })
    }
}
