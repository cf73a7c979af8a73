//! How the program ends: the only place that knows its exit codes.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

/// 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a command did not do what it was asked, in words for a person. The variant chooses the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: the world is not as the command needs it: a file, a port, a device.
    Failed(String),
    /// 1, without a word: nothing was found, as grep has it.
    Nothing,
    /// 2: it was asked for something that makes no sense; clap uses the same code.
    Usage(String),
    /// 77 (`EX_NOPERM` of sysexits.h): live capture needs a right that it does not have. `make run` asks for this one.
    MayNotCapture(String),
    /// 1, without a word: it was told already, when it happened.
    Told,
    /// 130, as shells have it of a program that SIGINT ended: the user did not want the rest.
    Interrupted,
    /// 0: who reads our output has seen enough and closed it.
    ReaderGone,
}

impl Failure {
    /// A failure told as the error and its causes.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::Failed(chain(error))
    }

    /// What there is to say about it.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Failed(why) | Self::Usage(why) | Self::MayNotCapture(why) => why,
            Self::Nothing | Self::Told | Self::Interrupted | Self::ReaderGone => "",
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Failed(format!("can't write the output: {error}")),
        }
    }
}

/// The message of an error and of everything that caused it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Many say their cause themselves.
        if !text.ends_with(&more) {
            text.extend([": ", &more]);
        }
        cause = error.source();
    }
    text
}

/// Says why on stderr where there is something to say, and gives the exit code.
pub(crate) fn leave(outcome: Outcome) -> ExitCode {
    let (code, why) = match outcome {
        Ok(()) | Err(Failure::ReaderGone) => return ExitCode::SUCCESS,
        Err(Failure::Nothing | Failure::Told) => return ExitCode::from(1),
        Err(Failure::Interrupted) => return ExitCode::from(INTERRUPTED),
        Err(Failure::Failed(why)) => (1, why),
        Err(Failure::Usage(why)) => (2, why),
        Err(Failure::MayNotCapture(why)) => (77, why),
    };
    // Nobody is left to be told when stderr is closed.
    drop(writeln!(io::stderr(), "error: {}", why.trim_end()));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert!(matches!(io::Error::from(io::ErrorKind::BrokenPipe).into(), Failure::ReaderGone));
        assert!(matches!(io::Error::from(io::ErrorKind::StorageFull).into(), Failure::Failed(_)));
    }
}
