//! How a server's parts learn that they must end, and how the server learns that they have.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// How long parts may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends all that hold the [`Shutdown`] it was made with. Dropped, it does so as well, but does not wait.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Held by everything that must end before the process may.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what it ends.
pub fn shutdown() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Asks all parts to end and waits until every [`Shutdown`] is dropped, at most five seconds. Says whether all
    /// ended in time.
    pub async fn finish(self) -> bool {
        self.0.send_replace(true);
        timeout(PATIENCE, self.0.closed()).await.is_ok()
    }
}

impl Shutdown {
    /// Waits until the end is asked for, or the trigger is gone.
    pub async fn requested(&mut self) {
        // An error says that the trigger was dropped, which means the same.
        drop(self.0.wait_for(|&requested| requested).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_trigger_waits_for_the_parts() {
        let (trigger, mut part) = shutdown();
        let running = tokio::spawn(async move {
            part.requested().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        assert!(trigger.finish().await);
        assert!(running.is_finished());
    }

    #[tokio::test]
    async fn a_dropped_trigger_ends_the_parts_too() {
        let (trigger, mut part) = shutdown();
        drop(trigger);
        timeout(PATIENCE, part.requested()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_hangs_is_given_up() {
        let (trigger, _part) = shutdown();
        assert!(!trigger.finish().await);
    }
}
