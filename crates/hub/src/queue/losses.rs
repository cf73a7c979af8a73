//! What was lost, by reason: what must still be told, and all in all.

use std::{borrow::Cow, collections::BTreeMap};

/// Most reasons that are told apart.
const REASONS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Losses {
    by_reason: BTreeMap<Cow<'static, str>, Loss>,
    /// Whether there is something to be told, so that it need not be searched for.
    news: bool,
}

#[derive(Debug, Default)]
struct Loss {
    total: u64,
    untold: u64,
    /// Whether the reason itself is news, even where nothing was lost for it.
    news: bool,
}

impl Losses {
    pub(super) fn add(&mut self, n: u64, why: Cow<'static, str>) {
        let known = self.by_reason.contains_key(&why);
        let why = if known || self.by_reason.len() < REASONS { why } else { "other reasons".into() };
        let loss = self.by_reason.entry(why).or_default();
        loss.total += n;
        loss.untold += n;
        loss.news = true;
        self.news = true;
    }

    /// A loss that is to be told; it counts as told.
    pub(super) fn take(&mut self) -> Option<(u64, Cow<'static, str>)> {
        if !self.news {
            return None;
        }
        let mut untold = self.by_reason.iter_mut().filter(|(_, loss)| loss.news);
        let told = untold.next().map(|(why, loss)| {
            loss.news = false;
            (std::mem::take(&mut loss.untold), why.clone())
        });
        self.news = untold.next().is_some();
        told
    }

    /// All losses so far.
    pub(super) fn total(&self) -> Vec<(&str, u64)> {
        self.by_reason.iter().map(|(why, loss)| (&**why, loss.total)).collect()
    }
}
