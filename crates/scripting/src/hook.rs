//! The functions that scripts may define.

use serde::{Deserialize, Serialize};

/// A function that is called when something happens, if a script defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum Hook {
    /// A packet was captured.
    OnPacketCaptured,
    /// A transaction is complete.
    OnItemCaptured,
    /// A watcher is about to be sent an entry.
    OnItemQueried,
    /// A job came to its end.
    OnJobPassed,
    /// A job threw.
    OnJobFailed,
    /// A pod came, changed or went.
    OnPodEvent,
    /// Someone called `hub.action`; at the hub only.
    OnHubAction,
}

/// Documentation of a hook: one row of [`HOOKS`].
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Which.
    pub hook: Hook,
    /// The function's name in JavaScript.
    pub name: &'static str,
    /// In TypeScript's notation.
    pub signature: &'static str,
    /// When it is called and what its result does.
    pub doc: &'static str,
}

/// Every hook; the index is the hook's number.
pub const HOOKS: [Description; 7] = [
    Description {
        hook: Hook::OnPacketCaptured,
        name: "onPacketCaptured",
        signature: "onPacketCaptured(info: PacketInfo): void",
        doc: "A packet was captured.",
    },
    Description {
        hook: Hook::OnItemCaptured,
        name: "onItemCaptured",
        signature: "onItemCaptured(data: Item): void",
        doc: "A transaction is complete: both halves were seen, or its protocol has but one.",
    },
    Description {
        hook: Hook::OnItemQueried,
        name: "onItemQueried",
        signature: "onItemQueried(data: Item): Item | void",
        doc: "An entry is about to be shown to a watcher. What is returned is shown in its place, so that \
              `test.pass(data)` and `test.fail(data)` colour it. Who takes too long is not waited for.",
    },
    Description {
        hook: Hook::OnJobPassed,
        name: "onJobPassed",
        signature: "onJobPassed(tag: string, cron: string, limit: number): void",
        doc: "A job of this script came to its end.",
    },
    Description {
        hook: Hook::OnJobFailed,
        name: "onJobFailed",
        signature: "onJobFailed(tag: string, cron: string, limit: number, err: string): void",
        doc: "A job of this script threw.",
    },
    Description {
        hook: Hook::OnPodEvent,
        name: "onPodEvent",
        signature: "onPodEvent(event: \"ADDED\" | \"MODIFIED\" | \"DELETED\", pod: object): void",
        doc: "A pod of the cluster came, changed or went.",
    },
    Description {
        hook: Hook::OnHubAction,
        name: "onHubAction",
        signature: "onHubAction(action: string, object: any): void",
        doc: "A script called `hub.action`. Runs at the hub only.",
    },
];

impl Hook {
    /// The function's name in JavaScript.
    pub fn name(self) -> &'static str {
        HOOKS[self as usize].name
    }

    /// All hooks.
    pub fn all() -> impl Iterator<Item = Hook> {
        HOOKS.iter().map(|row| row.hook)
    }
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hooks(pub u8);

impl Hooks {
    /// Whether the hook is in it.
    pub fn has(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u8) != 0
    }

    /// Adds a hook.
    pub fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u8;
    }
}

impl std::ops::BitOr for Hooks {
    type Output = Hooks;

    fn bitor(self, other: Hooks) -> Hooks {
        Hooks(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_at_its_own_number() {
        for (number, row) in HOOKS.iter().enumerate() {
            assert_eq!(row.hook as usize, number, "{}", row.name);
            assert!(row.signature.starts_with(row.name));
        }
    }
}
