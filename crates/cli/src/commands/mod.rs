//! One file per subcommand.

pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod dissect;
pub(crate) mod hub;
pub(crate) mod kfl;
pub(crate) mod license;
pub(crate) mod logs;
pub(crate) mod proxy;
pub(crate) mod script_host;
pub(crate) mod scripts;
pub(crate) mod tap;
pub(crate) mod version;
pub(crate) mod worker;
