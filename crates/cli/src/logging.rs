//! What the program says about itself, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Begins to log: `RUST_LOG` decides, where it is set and makes sense; else the number of `-v`.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
