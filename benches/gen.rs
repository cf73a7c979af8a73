//! Writes a capture of HTTP and DNS traffic: `gen CONNECTIONS QUESTIONS FILE`. Ten requests per connection; the same
//! arguments give the same file.

use std::{env, fs, process::ExitCode};

use support::{
    pcap::Endian,
    traffic::{Mix, capture},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [connections, questions, file] = arguments.as_slice() else { return ExitCode::from(2) };
    let (Ok(connections), Ok(questions)) = (connections.parse(), questions.parse()) else {
        return ExitCode::from(2);
    };
    let capture = capture(&Mix { connections, requests: 10, questions, seed: 1 });
    match fs::write(file, capture.pcap(Endian::Little, false)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
