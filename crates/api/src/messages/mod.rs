//! What hub and worker say to each other over one WebSocket, dialled by the hub at the worker's `/hub`.
//!
//! The hub sends [`ToWorker`], always as text. The worker answers with [`FromWorker`] as text, and with entries in
//! binary [`Frame`]s, so that neither side ever parses an entry to pass it on.
//!
//! ```text
//!   hub                                   worker
//!    │ ────────────── (dials) ───────────▶ │
//!    │ ◀──── Hello {boot, node, version} ─ │
//!    │ ── Subscribe {id, kfl, now, shape,  │
//!    │               after} ─────────────▶ │
//!    │ ── Credit {id, bytes} ────────────▶ │
//!    │ ◀──────────────── Frame, Frame, … ─ │   what the store holds, oldest first, as far as the credit goes
//!    │ ◀───── HistoryEnd {id, sequence} ── │   the seam
//!    │ ◀──────────────── Frame, Frame, … ─ │   live: an entry once, with every subscription that it matches
//!    │ ◀── Seen {sequence}, Lost …, Status │
//!    │ ── Unsubscribe {id} ──────────────▶ │
//!    │ ── Scripts {scripts, env} ────────▶ │   on each connection, and whenever something changes: the whole of it
//!    │ ── Names {changes}, Targets ──────▶ │   in a cluster: on each connection all of them, then what changes
//!    │ ── SelfTest {id} ─────────────────▶ │
//!    │ ── Jobs {command, tag} ───────────▶ │
//!    │ ◀── Console …, ScriptStates …,      │
//!    │     Jobs …, HubAction …,            │
//!    │     SelfTested … ────────────────── │
//! ```

mod cluster;
mod frame;
mod scripts;

use serde::{Deserialize, Serialize};

pub use cluster::{
    Identity, IdentityKind, NameChange, NameKey, Owner, PodRef, Port, TargetPod, Targets, TestedSource,
    Transport,
};
pub use frame::{Delivery, Frame, FrameError, FrameReader, MAX_DELIVERIES};
pub use scripts::{ConsoleLine, Env, Job, JobCommand, LineKind, Script, ScriptPhase, ScriptState};

/// A subscription's number: chosen by the hub, unique within a connection.
pub type SubscriptionId = u32;

/// The protocol's version; both sides refuse another.
pub const VERSION: u32 = 3;

/// Which form of an entry is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The whole entry: `/wsFull`.
    Full,
    /// One line of it: `/ws`.
    Base,
}

/// A place in a worker's store, from which a subscription can resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The worker's start that numbered it.
    pub boot: u64,
    /// The number of the last entry that was received, or that the worker is known to have looked at.
    pub sequence: u64,
}

/// What the hub says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum ToWorker {
    /// Send what matches: what the store holds first, then what comes.
    Subscribe {
        /// Its number from now on.
        id: SubscriptionId,
        /// The query as the user typed it.
        kfl: String,
        /// The spelling that the hub read it in.
        language: kfl::Language,
        /// Milliseconds since the Unix epoch: what `now()` means on every worker.
        now: i64,
        /// The form of the entries.
        shape: Shape,
        /// Only what came after this; of another boot: everything.
        after: Option<Cursor>,
    },
    /// While it catches up, the subscription may send this many bytes more. It begins with none.
    ///
    /// An entry may be sent while the credit is above zero, however long it is; the debt that is left counts against
    /// the next credit. What is live needs none.
    Credit {
        /// The subscription.
        id: SubscriptionId,
        /// Bytes of entry text.
        bytes: u64,
    },
    /// Stop.
    Unsubscribe {
        /// The subscription.
        id: SubscriptionId,
    },
    /// All scripts that are to run, and what they see as `env`. What is not among them is unloaded, and what did not
    /// change goes on undisturbed; a change of `env` alone reaches running scripts. A worker that loses its hub goes on
    /// with what it has; of several hubs, the one that spoke last is right.
    Scripts {
        /// In the order of their numbers.
        scripts: Vec<Script>,
        /// The whole of it.
        env: Env,
    },
    /// Do something with jobs.
    Jobs {
        /// What.
        command: JobCommand,
        /// Only the jobs of this name; `None` for all.
        tag: Option<String>,
    },
    /// Who has which address.
    ///
    /// Each connection begins with a `complete` one: whatever has a name and is not among its keys has none any longer, but
    /// what was known of the past stays true. Of a key there may be several changes, in the order of their times: what
    /// the hub remembers of the recent past. Further messages bring what changes, in the order in which the hub learnt
    /// it, which need not be that of its times. To hear the same again changes nothing.
    Names {
        /// Differs from start to start of a hub.
        epoch: u64,
        /// The number of the first change: one more than the last of the message before. After a gap, or from another
        /// hub, wait for a `complete` one, whose changes are numbered as if they had come last.
        from: u64,
        /// Whom the changes speak of.
        identities: Vec<Identity>,
        /// What changed.
        changes: Vec<NameChange>,
        /// Whether this replaces what was known.
        complete: bool,
    },
    /// What is to be captured, whole: on each connection, on every change, and now and then. Of several hubs, the one that
    /// spoke last is right; a worker that loses its hub goes on with what it has.
    Targets {
        /// All of it.
        targets: Targets,
    },
    /// Send yourself packets, and say whether they were captured.
    SelfTest {
        /// Comes back with the answer.
        id: u32,
    },
}

/// What the worker says, besides entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum FromWorker {
    /// The first message on a connection.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// Differs from start to start of a worker.
        boot: u64,
        /// The node's name.
        node: String,
        /// The worker's own `address:port`, as its entries have it.
        worker: String,
    },
    /// Entries of the subscription that will never be sent.
    Lost {
        /// The subscription.
        id: SubscriptionId,
        /// How many.
        n: u64,
        /// Why, in words for a person.
        why: String,
    },
    /// The subscription has all that the store held; what follows is live.
    HistoryEnd {
        /// The subscription.
        id: SubscriptionId,
        /// The number of the last entry that was looked at for it.
        sequence: u64,
    },
    /// Everything up to this entry was looked at for all subscriptions that are past their `HistoryEnd`, and what
    /// matched was sent before this message. A few times a second at most, so that a subscription which matches little
    /// need not begin where it last matched.
    Seen {
        /// The number of the last entry that was looked at.
        sequence: u64,
    },
    /// The query can't be run.
    Refused {
        /// The subscription.
        id: SubscriptionId,
        /// Why.
        why: String,
    },
    /// What the worker knows of itself, as it stands in the hub's `/status`; every few seconds.
    Status {
        /// A JSON object.
        status: serde_json::Value,
    },
    /// Scripts wrote to the console.
    Console {
        /// In order.
        lines: Vec<ConsoleLine>,
        /// Lines before these that were not kept for the hub.
        lost: u64,
    },
    /// How the scripts fare; when something changed, a few times a second at most.
    ScriptStates {
        /// In the order of their numbers.
        states: Vec<ScriptState>,
    },
    /// All jobs; when something changed, a few times a second at most.
    Jobs {
        /// By script and name.
        jobs: Vec<Job>,
    },
    /// A script called `hub.action`.
    HubAction {
        /// The script.
        script: u32,
        /// The first argument.
        action: String,
        /// The second.
        object: serde_json::Value,
    },
    /// The answer to a `SelfTest`.
    SelfTested {
        /// Which.
        id: u32,
        /// Each source that is an interface.
        sources: Vec<TestedSource>,
    },
}
