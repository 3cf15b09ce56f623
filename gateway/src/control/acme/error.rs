//! Why there is no certificate from an ACME server. Each is one line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why an order came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    /// The server was not there, or spoke nonsense, or said no.
    #[error("{}", line(.0))]
    Protocol(#[from] instant_acme::Error),
    /// The server did not believe that a name is ours.
    #[error("{name} was not proved: {why}")]
    NotProved {
        /// The name.
        name: String,
        /// What the server said.
        why: String,
    },
    /// The server does not know the challenge that is configured.
    #[error("the server does not offer `challenge = \"{0}\"` for {1}; use the other one")]
    NotOffered(&'static str, String),
    /// It took too long in all.
    #[error("it was not done within {0:?}")]
    Late(Duration),
    /// A key or a request could not be made.
    #[error("a certificate cannot be asked for: {0}")]
    Made(#[from] rcgen::Error),
    /// The same for what is shown in a handshake.
    #[error("a name cannot be proved: {0}")]
    Shown(#[from] rustls::Error),
    /// What came is no certificate for what was asked.
    #[error("what came is of no use: {0}")]
    Unusable(String),
    /// A file in the state directory.
    #[error("{} cannot be kept: {}", .0.display(), .1)]
    Kept(PathBuf, io::Error),
    /// The authorities of the server itself.
    #[error("{0}")]
    Authorities(String),
}

impl AcmeError {
    /// Whether the server was asked and said no: it does not like to be asked again soon.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Protocol(error) => matches!(error, instant_acme::Error::Api(_)),
            Self::NotProved { .. } | Self::NotOffered(..) | Self::Unusable(_) => true,
            Self::Late(_) | Self::Made(_) | Self::Shown(_) | Self::Kept(..) | Self::Authorities(_) => false,
        }
    }

    /// Whether the server does not know the account, or not any more.
    pub(super) fn is_no_account(&self) -> bool {
        let Self::Protocol(instant_acme::Error::Api(problem)) = self else { return false };
        let kind = problem.r#type.as_deref().unwrap_or_default();
        // A closed account is 401 (RFC 8555, 7.3.6); a name that was not proved is 403.
        kind.ends_with(":accountDoesNotExist")
            || kind.ends_with(":unauthorized") && problem.status == Some(401)
    }
}

/// What was said, on one line: some of it comes from the server.
fn line(error: &instant_acme::Error) -> String {
    let text = std::iter::successors(std::error::Error::source(error), |error| error.source())
        .fold(error.to_string(), |text, error| format!("{text}: {error}"));
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(500).collect()
}
