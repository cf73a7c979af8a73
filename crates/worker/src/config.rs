//! How a worker is set up.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{Input, NameLimits, PacketLimits};

/// Where workers listen unless told otherwise.
pub const DEFAULT_PORT: u16 = 30001;

/// What scripts may keep on disk unless told otherwise: 1 GiB.
pub const DEFAULT_SCRIPT_BYTES: u64 = 1 << 30;

/// One source of packets.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// What to read.
    pub input: Input,
    /// Bytes kept of each frame of an interface.
    pub snaplen: u32,
    /// The kernel's ring for an interface, in bytes.
    pub buffer_bytes: u32,
    /// A BPF filter.
    pub filter: Option<String>,
    /// Addresses of our own servers, whose traffic an interface leaves out already in the kernel: watching it would make
    /// more of it. The other connections of the process are left out as they are found.
    pub leave_out: Vec<SocketAddr>,
}

impl SourceConfig {
    /// A source with the usual settings: whole frames (GRO joins up to 256 KiB), a ring of 32 MiB, no filter.
    pub fn new(input: Input) -> Self {
        Self { input, snaplen: 262_144, buffer_bytes: 32 << 20, filter: None, leave_out: Vec::new() }
    }

    /// Whether it is an interface.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.input, Input::Interface(_))
    }
}

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it serves.
    pub listen: SocketAddr,
    /// What it calls itself in the ids of its entries, and where its hub finds it: `host:port`, or `host` for the port
    /// that it listens on. `None` is the address that it listens on.
    pub advertise: Option<String>,
    /// The name of its node.
    pub node: String,
    /// What it captures. Several sources are captured side by side and never mixed.
    pub sources: Vec<SourceConfig>,
    /// Threads per source that dissect.
    pub threads: usize,
    /// How much of the past it keeps.
    pub store: StoreLimits,
    /// Where it keeps what must outlive it: the highest stream number given, and packets. `None` starts from 1 each time
    /// and keeps no packets.
    pub data_dir: Option<PathBuf>,
    /// How many packets it keeps there.
    pub packets: PacketLimits,
    /// Bytes that scripts may keep there, copies of streams and snapshots included.
    pub script_bytes: u64,
    /// Our own program, which runs scripts as `script-host`. Without it no script runs here.
    pub script_host: Option<PathBuf>,
    /// What it is told besides: which addresses scripts may reach, whom they trust.
    pub script_args: Vec<OsString>,
    /// Files are read only when scripts are there, which a hub is known to bring; not longer than this is waited.
    pub wait_for_scripts: Option<Duration>,
    /// Names under which it may be asked, besides loopback's.
    pub allowed_hosts: Vec<String>,
    /// Where its keys are (`ca.crt`, `tls.crt`, `tls.key`): with them it speaks TLS only, and shows traffic to nobody but
    /// a hub. Without them it shows it to this machine only.
    pub tls_dir: Option<PathBuf>,
    /// Addresses of our own servers on this machine, whose traffic a live capture leaves out.
    pub own: Vec<SocketAddr>,
    /// Whom it becomes, in user and group, once its sources are open and before it looks at a packet: whoever starts it
    /// is root then. `None` goes on as it is.
    pub user: Option<u32>,
    /// Nothing is captured live until a hub has said what is to be.
    pub await_targets: bool,
    /// The bounds of names.
    pub names: NameLimits,
    /// The bounds of decoding, flow tables and dissectors.
    pub limits: Limits,
}

impl Config {
    /// The usual settings.
    pub fn new(sources: Vec<SourceConfig>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
            advertise: None,
            node: "localhost".into(),
            sources,
            threads: 1,
            store: StoreLimits::default(),
            data_dir: None,
            packets: PacketLimits::default(),
            script_bytes: DEFAULT_SCRIPT_BYTES,
            script_host: None,
            script_args: Vec::new(),
            wait_for_scripts: None,
            allowed_hosts: Vec::new(),
            tls_dir: None,
            own: Vec::new(),
            user: None,
            await_targets: false,
            names: NameLimits::default(),
            limits: Limits::default(),
        }
    }
}

/// How much of the past a worker keeps. What goes beyond is evicted, oldest first, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Bytes of entries.
    pub bytes: usize,
    /// Age since arrival; entries of a file have no age.
    pub max_age: Duration,
}

/// 256 MiB, five minutes: as long as the original kept its entries.
impl Default for StoreLimits {
    fn default() -> Self {
        Self { bytes: 256 << 20, max_age: Duration::from_mins(5) }
    }
}

/// The bounds of what strangers send.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Of decoding and of each shard's flow table.
    pub flow: flow::Limits,
    /// Of each flow's dissection.
    pub dissect: dissect::Limits,
}
