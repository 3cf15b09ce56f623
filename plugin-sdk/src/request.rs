//! The request as a plugin sees it. The types hold nothing: each read asks the host, so a plugin pays only
//! for what it looks at, and should look once.

use std::fmt;
use std::ops::Deref;

use crate::Value;
use crate::host::request as host;

/// The request that this call is about.
#[derive(Debug)]
pub struct Request(());

impl Request {
    pub(crate) const CURRENT: Self = Self(());

    /// The method, as sent: case-sensitive (RFC 9110, 9.1).
    pub fn method(&self) -> String {
        host::method()
    }

    /// "http" or "https": how the client reached the gateway.
    pub fn scheme(&self) -> String {
        host::scheme()
    }

    /// The authority that the client asked for (the Host field), with its port if one was sent.
    pub fn authority(&self) -> Value {
        host::authority().into()
    }

    /// The path with its query, as it will be forwarded.
    pub fn path(&self) -> Value {
        host::path().into()
    }

    /// The client's address without its port; behind trusted proxies, the address that they report.
    pub fn client_address(&self) -> String {
        host::client_address()
    }

    /// The subject of the certificate that the client showed and that was found good, as RFC 4514 writes it:
    /// `CN=shop,O=Example`; none if it showed none.
    pub fn client_certificate_subject(&self) -> Option<String> {
        host::client_certificate_subject()
    }

    /// The SHA-256 of that certificate, as 64 lower-case hexadecimal digits.
    pub fn client_certificate_fingerprint(&self) -> Option<String> {
        host::client_certificate_fingerprint()
    }

    /// Its subject alternative names of a kind, which is "dns", "uri", "email" or "ip".
    pub fn client_certificate_names(&self, kind: &str) -> Vec<String> {
        host::client_certificate_names(kind)
    }

    /// The id of this request, as logs and error bodies name it.
    pub fn id(&self) -> String {
        host::id()
    }

    /// The name of the route that matched.
    pub fn route(&self) -> String {
        host::route()
    }

    /// The name of the pool that the request goes to; empty before there is one.
    pub fn pool(&self) -> String {
        host::pool()
    }

    /// A hash of that name, on every gateway the same: costs less than the name, for what a plugin keeps by pool.
    pub fn pool_hash(&self) -> u64 {
        host::pool_hash()
    }

    /// Which attempt this is; the first is 1.
    pub fn attempt(&self) -> u32 {
        host::attempt()
    }

    /// The stable id of the node that was picked, once there is one.
    pub fn node(&self) -> Option<String> {
        host::node()
    }

    /// The first value of a header field; the name's case does not matter. `authorization` and
    /// `proxy-authorization` are none without the grant "credentials".
    pub fn header(&self, name: &str) -> Option<Value> {
        host::header(name).map(Value::from)
    }

    /// All values of a header field, in order.
    pub fn header_values(&self, name: &str) -> Vec<Value> {
        host::header_values(name).into_iter().map(Value::from).collect()
    }

    /// The value of a cookie (RFC 6265, 5.4), without surrounding quotes.
    pub fn cookie(&self, name: &str) -> Option<Value> {
        host::cookie(name).map(Value::from)
    }

    /// 64 bits of this use's own that live as long as the request, through all its roles; 0 at first.
    pub fn note(&self) -> u64 {
        host::note()
    }

    /// Sets the note.
    pub fn set_note(&self, note: u64) {
        host::set_note(note);
    }

    /// A short text of this use's own that lives as long as the request; empty at first.
    pub fn note_text(&self) -> String {
        host::note_text()
    }

    /// Sets the text. Refused over 1 KiB.
    pub fn set_note_text(&self, text: &str) -> Result<(), Refused> {
        host::set_note_text(text).map_err(Refused)
    }
}

/// The request in [`Filter::on_request`](crate::Filter::on_request), where it can be edited. Edits count
/// when the call returns; those of a call that faults are dropped.
#[derive(Debug)]
pub struct RequestMut(Request);

impl RequestMut {
    pub(crate) fn current() -> Self {
        Self(Request::CURRENT)
    }

    /// Replaces the path and query; it must start with "/".
    pub fn set_path(&mut self, path: impl AsRef<[u8]>) -> Result<(), Refused> {
        host::set_path(path.as_ref()).map_err(Refused)
    }

    /// Replaces all values of a field by one. Refused where it would break the message: CR, LF or NUL in
    /// the value, and the names that frame a message or belong to one connection.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), Refused> {
        host::set_header(name, value.as_ref()).map_err(Refused)
    }

    /// Adds a field beside those of the same name. Refused as `set_header` is.
    pub fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), Refused> {
        host::add_header(name, value.as_ref()).map_err(Refused)
    }

    /// Removes all fields of a name. Refused as `set_header` is.
    pub fn remove_header(&mut self, name: &str) -> Result<(), Refused> {
        host::remove_header(name).map_err(Refused)
    }
}

impl Deref for RequestMut {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0
    }
}

/// The gateway refused an edit, in its own words; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}
