//! Why a server of the control path gave no whole answer. Each is one line, without anything that the server sent.

use std::io;
use std::time::Duration;

use crate::control::config::Origin;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// There is no connection to it.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(Origin, #[source] io::Error),
    /// It ended the connection, or did not speak HTTP/1.1.
    #[error("{0} gave no whole answer: {why}", why = chain(.1))]
    Lost(Origin, #[source] hyper::Error),
    /// It took too long.
    #[error("{0} did not answer within {1:?}")]
    Silent(Origin, Duration),
    /// Its answer did not end.
    #[error("{0} answers more than {1} bytes")]
    TooLong(Origin, usize),
}

/// What hyper says, and why it does.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, error| format!("{text}: {error}"))
}
