//! What went wrong, for people.

use std::{fmt, io, path::PathBuf, time::Duration};

/// A service that can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Any HTTP server.
    Webhook,
    /// Slack, by incoming webhook or as a bot.
    Slack,
    /// `InfluxDB` 1 and 2.
    InfluxDb,
    /// Elasticsearch.
    Elastic,
    /// Amazon S3 and what speaks its language.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// Amazon Kinesis.
    Kinesis,
}

impl Service {
    /// All, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::Webhook,
        Self::Slack,
        Self::InfluxDb,
        Self::Elastic,
        Self::S3,
        Self::Gcs,
        Self::Azure,
        Self::Kinesis,
    ];
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Webhook => "webhook",
            Self::Slack => "Slack",
            Self::InfluxDb => "InfluxDB",
            Self::Elastic => "Elasticsearch",
            Self::S3 => "S3",
            Self::Gcs => "GCS",
            Self::Azure => "Azure",
            Self::Kinesis => "Kinesis",
        })
    }
}

/// Why something could not be sent. `target` is a bucket or the beginning of a URL; paths and queries of users' URLs
/// are left out, because they often are secrets themselves.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for can't be sent anywhere.
    #[error("{service}: {what}")]
    Invalid {
        /// For which service.
        service: Service,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The address gives out the cloud's credentials.
    #[error(
        "{service}: {target} is, or leads to, an address that gives out the cloud's credentials, which scripts may not \
         reach: only who runs Kubeshark can allow it"
    )]
    MetadataAddress {
        /// For which service.
        service: Service,
        /// Where it would have gone.
        target: String,
    },
    /// Nobody answered, or the connection was lost.
    #[error(
        "{service}: {target} can't be reached: {cause} (attempts: {attempts}). Is the address right, and the service up?"
    )]
    Unreachable {
        /// The service.
        service: Service,
        /// Where.
        target: String,
        /// The network's word for it.
        cause: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// No answer came in time.
    #[error("{service}: {target} did not answer within {after:?} (attempts: {attempts})")]
    TimedOut {
        /// The service.
        service: Service,
        /// Where.
        target: String,
        /// The limit of the last attempt.
        after: Duration,
        /// How often it was tried.
        attempts: u32,
    },
    /// The service said no.
    #[error("{service}: {target} refused: {answer}{hint} (attempts: {attempts})")]
    Refused {
        /// The service.
        service: Service,
        /// Where.
        target: String,
        /// The HTTP status; 0 where the service has another way to say no.
        status: u16,
        /// Status and reason in words.
        answer: String,
        /// What to do; begins with `": "` or is empty.
        hint: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// As many calls as the service gets at a time are under way, and none ended in time.
    #[error("{service}: {target} was not tried: {limit} calls are under way and none of them ends")]
    Busy {
        /// The service.
        service: Service,
        /// Where it would have gone.
        target: String,
        /// How many it gets at a time.
        limit: usize,
    },
    /// The file that is to be sent can't be read.
    #[error("{service}: {} can't be read", path.display())]
    File {
        /// For which service.
        service: Service,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn invalid(service: Service, what: impl Into<String>) -> Self {
        Self::Invalid { service, what: what.into() }
    }

    /// A status as people know it: `403 Forbidden: AccessDenied`.
    pub(crate) fn refused(service: Service, target: &str, status: u16, said: &str, attempts: u32) -> Self {
        let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let mut answer = match reason {
            Some(reason) => format!("{status} {reason}"),
            None => status.to_string(),
        };
        if !said.is_empty() {
            answer = format!("{answer}: {said}");
        }
        let hint = match status {
            401 | 403 => "; check the key, and what it is allowed to do",
            404 => "; check the name, and that it exists",
            413 => "; it takes nothing this large",
            429 => "; it takes no more for now",
            500.. => "; it has a fault of its own, try again later",
            _ => "",
        };
        Self::Refused { service, target: target.to_owned(), status, answer, hint, attempts }
    }

    /// The service that it is about.
    pub fn service(&self) -> Service {
        match self {
            Self::Invalid { service, .. }
            | Self::MetadataAddress { service, .. }
            | Self::Unreachable { service, .. }
            | Self::TimedOut { service, .. }
            | Self::Refused { service, .. }
            | Self::Busy { service, .. }
            | Self::File { service, .. } => *service,
        }
    }

    /// Itself and its cause on one line, as a script's exception shows it.
    pub fn text(&self) -> String {
        match self {
            Self::File { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}
