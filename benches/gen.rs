//! Writes a capture of HTTP and DNS traffic: `gen CONNECTIONS QUESTIONS FILE [SEED]`. Ten requests per connection; the
//! same arguments give the same file.

use std::{env, fs, process::ExitCode};

use support::{
    pcap::Endian,
    traffic::{Mix, capture},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((mix, file)) = parse(&arguments) else { return ExitCode::from(2) };
    match fs::write(file, capture(&mix).pcap(Endian::Little, false)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn parse(arguments: &[String]) -> Option<(Mix, &str)> {
    let [connections, questions, file, rest @ ..] = arguments else { return None };
    let seed = match rest {
        [] => 1,
        [seed] => seed.parse().ok()?,
        _ => return None,
    };
    let (connections, questions) = (connections.parse().ok()?, questions.parse().ok()?);
    Some((Mix { connections, requests: 10, questions, seed }, file))
}
