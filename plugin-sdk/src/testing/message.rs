//! Requests and responses that tests write down and look at.

use std::cell::{Cell, RefCell};

/// A request: `request("GET", "/cart?x=1").header("x-user", "7").cookie("id", "abc")`.
///
/// The notes that a plugin takes live here, and that a pick does without the response; so a request that is given to several
/// calls keeps them.
#[derive(Clone, Debug, Default)]
pub struct TestRequest {
    pub(crate) method: String,
    pub(crate) path: Vec<u8>,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) client: String,
    pub(crate) certificate: Option<TestCertificate>,
    pub(crate) id: String,
    pub(crate) route: String,
    pub(crate) pool: String,
    pub(crate) node: Option<String>,
    pub(crate) tried: Vec<String>,
    pub(crate) headers: Fields,
    pub(crate) note: Cell<u64>,
    pub(crate) note_text: RefCell<String>,
    /// Whether the pick did without on-response.
    pub(crate) spares_response: Cell<bool>,
}

/// A certificate that a client showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestCertificate {
    pub(crate) subject: String,
    pub(crate) fingerprint: String,
    pub(crate) names: Vec<(String, String)>,
}

/// A request with this method, path and query; the rest is a plain default.
pub fn request(method: &str, path: &str) -> TestRequest {
    TestRequest {
        method: method.into(),
        path: path.into(),
        scheme: "http".into(),
        authority: "example.com".into(),
        client: "192.0.2.1".into(),
        id: "request-1".into(),
        route: "route".into(),
        pool: "pool".into(),
        ..TestRequest::default()
    }
}

impl TestRequest {
    /// With a header field beside those that it has.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value.as_ref());
        self
    }

    /// With a cookie.
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", format!("{name}={value}"))
    }

    /// Over "http" or "https".
    pub fn scheme(mut self, scheme: &str) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// For this host, with its port if it has one.
    pub fn host(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    /// From this client address.
    pub fn from(mut self, address: &str) -> Self {
        self.client = address.into();
        self
    }

    /// From a client that showed a certificate of this subject, with subject alternative names of these kinds.
    pub fn certificate(mut self, subject: &str, names: &[(&str, &str)]) -> Self {
        let names = names.iter().map(|(kind, name)| ((*kind).into(), (*name).into())).collect();
        // Of the right form, and of no certificate.
        let fingerprint = "00".repeat(32);
        self.certificate = Some(TestCertificate { subject: subject.into(), fingerprint, names });
        self
    }

    /// With this id.
    pub fn id(mut self, id: &str) -> Self {
        self.id = id.into();
        self
    }

    /// On this route.
    pub fn route(mut self, route: &str) -> Self {
        self.route = route.into();
        self
    }

    /// To this pool.
    pub fn pool(mut self, pool: &str) -> Self {
        self.pool = pool.into();
        self
    }

    /// Picked for this node already: what a filter sees on the response.
    pub fn node(mut self, id: &str) -> Self {
        self.node = Some(id.into());
        self
    }

    /// After an attempt on this node failed: it is no candidate any more, and the next attempt is due.
    pub fn tried(mut self, id: &str) -> Self {
        self.tried.push(id.into());
        self
    }

    /// The first value of a field, where it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.text(name)
    }

    /// All values of a field, where they are text.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.texts(name)
    }

    /// The path with its query.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// A response, or an answer that a plugin gave.
#[derive(Clone, Debug, Default)]
pub struct TestResponse {
    /// The status code.
    pub status: u16,
    /// The body of an answer.
    pub body: Vec<u8>,
    pub(crate) headers: Fields,
}

/// A response with this status and no fields.
pub fn response(status: u16) -> TestResponse {
    TestResponse { status, ..TestResponse::default() }
}

impl TestResponse {
    /// With a header field beside those that it has.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value.as_ref());
        self
    }

    /// The first value of a field, where it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.text(name)
    }

    /// All values of a field, where they are text.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.texts(name)
    }
}

/// Header fields in order; names are kept in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

/// Names that frame a message, belong to one connection (RFC 9110, 7.6.1) or tell of a certificate: no plugin may touch them.
const OFF_LIMITS: [&str; 11] = [
    "connection",
    "client-cert",
    "client-cert-chain",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

impl Fields {
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    pub(crate) fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let named = |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|(_, value)| value.clone()).collect()
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<Vec<u8>> {
        let lines = self.values("cookie");
        let pairs = lines.iter().flat_map(|line| line.split(|byte| *byte == b';'));
        let value = pairs
            .map(<[u8]>::trim_ascii)
            .find_map(|pair| pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))?;
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        Some(bare.unwrap_or(value).to_vec())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).first().copied()
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        let named = |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).filter_map(|(_, value)| std::str::from_utf8(value).ok()).collect()
    }

    /// What the gateway checks in each edit.
    pub(crate) fn check(name: &str, value: &[u8]) -> Result<(), String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("`{name}` is not a header name"));
        }
        if OFF_LIMITS.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(format!("`{name}` belongs to the gateway"));
        }
        if value.len() > 16 * 1024 {
            return Err("the value is longer than 16 KiB".into());
        }
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(format!("the value of `{name}` has a CR, LF or NUL"));
        }
        Ok(())
    }
}
