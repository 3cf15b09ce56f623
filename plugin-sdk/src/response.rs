//! The response as a plugin sees it, and the answer that it may give instead of a node.

use std::ops::Deref;

use crate::host::{reply, response as host};
use crate::{Refused, Value, log};

/// The response that this call is about.
#[derive(Debug)]
pub struct Response(());

impl Response {
    /// The status code (RFC 9110, 15).
    pub fn status(&self) -> u16 {
        host::status()
    }

    /// The first value of a header field; the name's case does not matter.
    pub fn header(&self, name: &str) -> Option<Value> {
        host::header(name).map(Value::from)
    }

    /// All values of a header field, in order.
    pub fn header_values(&self, name: &str) -> Vec<Value> {
        host::header_values(name).into_iter().map(Value::from).collect()
    }
}

/// The response in [`Filter::on_response`](crate::Filter::on_response), where it can be edited. Edits
/// count when the call returns; those of a call that faults are dropped.
#[derive(Debug)]
pub struct ResponseMut(Response);

impl ResponseMut {
    pub(crate) fn current() -> Self {
        Self(Response(()))
    }

    /// Sets the status, 200 to 599.
    pub fn set_status(&mut self, status: u16) -> Result<(), Refused> {
        host::set_status(status).map_err(Refused)
    }

    /// Replaces all values of a field by one. Refused as
    /// [`RequestMut::set_header`](crate::RequestMut::set_header) is.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), Refused> {
        host::set_header(name, value.as_ref()).map_err(Refused)
    }

    /// Adds a field beside those of the same name.
    pub fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), Refused> {
        host::add_header(name, value.as_ref()).map_err(Refused)
    }

    /// Removes all fields of a name.
    pub fn remove_header(&mut self, name: &str) -> Result<(), Refused> {
        host::remove_header(name).map_err(Refused)
    }
}

impl Deref for ResponseMut {
    type Target = Response;

    fn deref(&self) -> &Response {
        &self.0
    }
}

/// An answer that the plugin gives instead of a node:
/// `Answer::new(403).header("content-type", "text/plain").body("no").into()`.
///
/// It becomes a [`Verdict`](crate::Verdict) or a [`Decision`](crate::Decision); it counts once it is returned.
#[derive(Debug)]
#[must_use = "an answer counts only if the call returns it"]
pub struct Answer(pub(crate) u16);

impl Answer {
    /// An empty answer with this status, 200 to 599.
    pub fn new(status: u16) -> Self {
        Self(status)
    }

    /// Adds a field. One that the gateway refuses is left out, with a line in the log.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Err(why) = reply::add_header(name, value.as_ref()) {
            log::warn(why);
        }
        self
    }

    /// Sets the body, which replaces an earlier one. One that is too long is left out, with a line in the log.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        if let Err(why) = reply::set_body(body.as_ref()) {
            log::warn(why);
        }
        self
    }
}
