//! Before everything else on a listener in the clear: the answer to an ACME server that wants a name proved (RFC 8555, 8.3).

use super::exchange::{Answer, Exchange};
use crate::http::head::Method;
use crate::transport::tls::HTTP_PATH;

impl Exchange<'_> {
    /// The proof that is asked for, if it is one of ours; other tokens may be a node's to answer.
    pub(super) fn prove(&mut self) -> Option<Answer> {
        let request = &self.context().request;
        let token = request.path().strip_prefix(HTTP_PATH)?;
        if self.connection.secure.is_some() || !matches!(request.method, Method::Get | Method::Head) {
            return None;
        }
        let proof = self.view.snapshot.challenges.http(token)?;
        let reply = &mut self.context_mut().reply;
        reply.fields.push((b"content-type"[..].into(), b"application/octet-stream"[..].into()));
        reply.body.extend_from_slice(&proof);
        Some(Answer::Plugin(200))
    }
}
