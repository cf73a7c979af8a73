//! What the capturing commands share: where packets come from, and what to say when they may not be had.

use std::{env, path::PathBuf};

use worker::{CaptureError, Input, SourceConfig};

use crate::exit::Failure;

/// The options of a source of packets.
#[derive(clap::Args)]
#[command(next_help_heading = "Packets")]
pub(crate) struct Args {
    /// Read a capture: pcap or pcapng, plain or compressed by gzip or zstd; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "interface")]
    pub(crate) pcap: Vec<PathBuf>,
    /// Capture live on an interface of this machine; `any` is all of them
    #[arg(short, long, value_name = "IFACE", env = "KUBESHARK_INTERFACE")]
    pub(crate) interface: Vec<String>,
    /// Only packets that this BPF filter lets through, such as `tcp port 80`
    #[arg(long, value_name = "FILTER", env = "KUBESHARK_BPF")]
    pub(crate) bpf: Option<String>,
    /// Bytes to keep of each frame of an interface
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, env = "KUBESHARK_SNAPLEN",
          value_parser = clap::value_parser!(u32).range(64..=262_144))]
    snaplen: u32,
    /// Size of the kernel's buffer for an interface, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, env = "KUBESHARK_BUFFER_MIB",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    buffer_mib: u32,
}

impl Args {
    /// The sources that were named, none if none was.
    pub(crate) fn sources(&self) -> Vec<SourceConfig> {
        let files = self.pcap.iter().cloned().map(input);
        let interfaces = self.interface.iter().cloned().map(Input::Interface);
        files
            .chain(interfaces)
            .map(|input| SourceConfig {
                snaplen: self.snaplen,
                buffer_bytes: self.buffer_mib << 20,
                filter: self.bpf.clone(),
                ..SourceConfig::new(input)
            })
            .collect()
    }
}

/// What is looked at, in words.
pub(crate) fn describe(sources: &[SourceConfig]) -> String {
    let named = sources.iter().map(|source| match &source.input {
        Input::Interface(name) => format!("the traffic of interface {name}, live"),
        input => format!("what {input} holds"),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// A file, or standard input where it is called `-`.
pub(crate) fn input(path: PathBuf) -> Input {
    if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path) }
}

/// The failure of a source, with the way out where the right to capture is what lacks.
pub(crate) fn failure(error: &CaptureError) -> Failure {
    let told = Failure::of(error);
    match (error, told) {
        (CaptureError::NotAllowed { .. }, Failure::Failed(why)) => {
            Failure::MayNotCapture(format!("{why}\n\n{}", permission_help()))
        }
        (CaptureError::Filter { .. }, Failure::Failed(why)) => Failure::Usage(why),
        (_, told) => told,
    }
}

/// What to type to be allowed to capture.
fn permission_help() -> String {
    let program =
        env::current_exe().map_or_else(|_| "kubeshark".to_owned(), |path| path.display().to_string());
    let arguments: Vec<String> = env::args().skip(1).map(|argument| quoted(&argument)).collect();
    let program = quoted(&program);
    format!(
        "Give this program the right to capture, once:\n  sudo setcap cap_net_raw+ep {program}\nor run it as root:\n  sudo {program} {}",
        arguments.join(" ")
    )
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (word, expected) in
            [("tap", "tap"), ("", "''"), ("tcp port 80", "'tcp port 80'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
