//! Heads that come before the final one (1xx; RFC 9110, 15.2), and which one is final.

use super::error::Error;
use super::exchange::Exchange;
use super::node_connection::NodeConnection;
use super::timeouts::Limit;
use crate::http::BodyLength;
use crate::http::h1::{self, ResponseEncoding};
use crate::http::h2;
use crate::http::head::Version;

impl Exchange<'_> {
    /// Whether the head in the context is the final one. One that is not is passed on.
    pub(super) async fn is_final(&mut self, node: &mut NodeConnection) -> Result<bool, Error> {
        match self.context().response.status {
            // Another protocol that nobody asked for: nothing behind it can be understood.
            101 if !self.is_switch_agreed() => Err(Error::BadResponse(h1::Malformed::Switch)),
            100 | 102..200 => {
                node.buffer.drain(..node.taken);
                node.taken = 0;
                self.timeouts.stop(&[Limit::FirstByte], &self.connection.deadline);
                self.pass_on_informational().await?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// A 1xx head goes to clients that know such heads (RFC 9110, 15.2).
    async fn pass_on_informational(&mut self) -> Result<(), Error> {
        let context = self.context.as_ref().expect("no plugin is being called");
        let status = context.response.status;
        if status == 100
            && let Some(upload) = &mut self.upload
        {
            upload.hold(false);
        }
        let is_expected = status != 100 || self.framing.expect_continue;
        if context.request.version != Version::Http11 || !is_expected {
            return Ok(());
        }
        let options = ResponseEncoding {
            body: BodyLength::Empty,
            client_version: Version::Http11,
            keep_alive: true,
            head_request: false,
            upgrade: false,
            date: b"",
            extra: &[],
        };
        self.begun = true;
        if let Some(stream) = self.connection.stream.as_http2() {
            let sent = stream.send_informational(h2::response(&context.response, &options));
            return sent.map_err(|_| Error::ClientGone);
        }
        let mut out = self.worker.buffers.head();
        h1::encode_response(&context.response, &options, &mut out);
        let (_, mut writer) = self.connection.stream.split();
        let sent = self.connection.deadline.race(writer.write_all(&out)).await;
        self.worker.buffers.put(out);
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::ClientGone),
        }
    }
}
