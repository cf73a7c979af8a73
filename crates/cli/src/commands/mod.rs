//! One file per subcommand.

pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod dissect;
pub(crate) mod hub;
pub(crate) mod kfl;
pub(crate) mod script_host;
pub(crate) mod scripts;
pub(crate) mod tap;
pub(crate) mod version;
pub(crate) mod worker;
