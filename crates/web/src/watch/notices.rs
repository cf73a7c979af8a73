//! Notices of loss, gathered so that they cannot flood who already reads too slowly.

use std::{borrow::Cow, collections::BTreeMap, future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};

/// Between two rounds of notices.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most reasons that are told apart in one round.
const REASONS: usize = 16;

/// Losses not told yet, by reason.
#[derive(Debug, Default)]
pub(super) struct Notices {
    lost: BTreeMap<Cow<'static, str>, u64>,
    told: Option<Instant>,
}

impl Notices {
    /// Remembers a loss.
    pub(super) fn lost(&mut self, n: u64, why: Cow<'static, str>) {
        let why = if self.lost.len() < REASONS { why } else { Cow::Borrowed("other reasons") };
        *self.lost.entry(why).or_default() += n;
    }

    /// Waits until something may be told: forever, if there is nothing.
    pub(super) async fn due(&self) {
        match self.told {
            _ if self.lost.is_empty() => pending().await,
            Some(told) => sleep_until(told + INTERVAL).await,
            None => {}
        }
    }

    /// What is to be told now, one text per reason; they count as told.
    pub(super) fn take(&mut self) -> Vec<String> {
        self.told = Some(Instant::now());
        let lost = std::mem::take(&mut self.lost).into_iter();
        lost.map(|(why, n)| serde_json::json!({ "event": "lost", "n": n, "why": why }).to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_add_up_by_reason() {
        let mut notices = Notices::default();
        for (n, why) in [(1, "slow"), (2, "gone"), (3, "slow")] {
            notices.lost(n, why.into());
        }
        assert_eq!(
            notices.take(),
            [r#"{"event":"lost","n":2,"why":"gone"}"#, r#"{"event":"lost","n":4,"why":"slow"}"#]
        );
        assert!(notices.take().is_empty());
    }

    #[test]
    fn reasons_are_bounded_and_nothing_is_forgotten() {
        let mut notices = Notices::default();
        for n in 0..1000 {
            notices.lost(1, n.to_string().into());
        }
        assert!(notices.lost.len() <= REASONS + 1);
        assert_eq!(notices.lost.values().sum::<u64>(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn one_round_a_second() {
        let mut notices = Notices::default();
        notices.lost(1, "slow".into());
        let begin = Instant::now();
        notices.due().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        notices.take();
        notices.lost(1, "slow".into());
        notices.due().await;
        assert!(begin.elapsed() >= INTERVAL);
    }
}
