//! Why a node's answer does not come, and whether the node has seen the request.

use h2::Reason;

/// What became of a request to a node instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The node leaves the connection and did not look at the request (GOAWAY; RFC 9113, 6.8).
    Leaving,
    /// The node did not look at the request (REFUSED_STREAM; RFC 9113, 8.7).
    Refused,
    /// What came breaks HTTP/2.
    Malformed,
    /// The stream was reset, or the connection broke.
    Broken,
}

impl Lost {
    /// Whether the node is sure to have done nothing, so that any request may be sent again.
    pub fn is_unseen(self) -> bool {
        matches!(self, Lost::Leaving | Lost::Refused)
    }

    /// The request was not sent at all, whatever is the matter with the connection.
    pub(super) fn unsent(error: &h2::Error) -> Lost {
        tracing::debug!(%error, "a connection of HTTP/2 takes no request");
        Lost::Leaving
    }
}

impl From<&h2::Error> for Lost {
    fn from(error: &h2::Error) -> Lost {
        if error.is_remote() && error.is_go_away() {
            // h2 gives it to none but streams that the node says that it did not look at.
            Lost::Leaving
        } else if error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
            Lost::Refused
        } else if error.is_library() {
            Lost::Malformed
        } else {
            Lost::Broken
        }
    }
}
