//! The cookie: its name and attributes (RFC 6265, 4.1). It knows nothing of sessions.

use std::time::Duration;

/// The parts of the Set-Cookie line that are the same for every client.
#[derive(Debug)]
pub(crate) struct Cookie {
    name: String,
    attributes: String,
}

impl Cookie {
    /// Refuses a name that is no token.
    pub(crate) fn new(name: &str, ttl: Duration) -> Result<Self, String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(
                ["cookie: `", name, "` is no name of a cookie; write letters, digits, - and _"].concat()
            );
        }
        let age = ttl.as_secs().to_string();
        let attributes = ["; Path=/; Max-Age=", &age, "; HttpOnly; SameSite=Lax"].concat();
        Ok(Self { name: name.into(), attributes })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value of Set-Cookie. `secure`: the client came over TLS, and shall send the cookie only so.
    pub(crate) fn line(&self, token: &str, secure: bool) -> String {
        let end = if secure { "; Secure" } else { "" };
        [self.name.as_str(), "=", token, &self.attributes, end].concat()
    }
}
