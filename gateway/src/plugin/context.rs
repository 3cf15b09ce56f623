//! What a plugin sees of a request: the exchange lends it to the host for each call and takes it back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::client_certificate::ClientCertificate;
use crate::http::head::{RequestHead, ResponseHead};
use crate::node::Node;
use crate::node::selection::Selection;

/// The request, what was decided of it so far, and what plugins left for later.
///
/// One value lives as long as a request and is reused by later ones: [`Context::clear`] keeps its memory.
pub struct Context {
    /// The time of the present stage, which decays averages; set by the exchange.
    pub now: Instant,
    /// The head of the request, with every edit so far.
    pub request: RequestHead,
    /// The head of the response, once there is one.
    pub response: ResponseHead,
    /// The client, as far as trusted proxies report it.
    pub client: Option<IpAddr>,
    /// Whether the client reached the gateway over TLS.
    pub secure: bool,
    /// The certificate that the client showed there.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The id of the request.
    pub id: RequestId,
    /// The name of the route.
    pub route: Arc<str>,
    /// The name of the pool; empty until there is one.
    pub pool: Arc<str>,
    /// Which attempt this is; 0 before the first.
    pub attempt: u32,
    /// What this pick may choose from.
    pub selection: Selection,
    /// The picked node.
    pub node: Option<Arc<Node>>,
    /// What became of the attempt.
    pub outcome: Outcome,
    /// The answer that a plugin prepared in place of a node.
    pub reply: Reply,
    /// What uses keep until the end of the request.
    pub notes: Vec<Note>,
    /// Whether the policy that was asked last does without on-response, until the exchange takes note of it.
    pub spares_response: bool,
    /// Whether a plugin asked where the client belongs, nobody could say, and it is not to go elsewhere then.
    pub session_lost: bool,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// The response's status, if there was a response.
    pub status: Option<u16>,
    /// From the pick to the response head or to the failure.
    pub latency: Duration,
    /// What failed, as one of the contract's words.
    pub error: Option<&'static str>,
}

/// Head and body of an answer that a plugin gives.
#[derive(Debug, Default)]
pub struct Reply {
    /// Its fields, in order.
    pub fields: Vec<ReplyField>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A field's name and value.
pub type ReplyField = (Box<[u8]>, Box<[u8]>);

/// What one use keeps until the end of the request.
#[derive(Debug, Default)]
pub struct Note {
    /// The use's key in the snapshot.
    pub key: u32,
    /// 64 bits of its own.
    pub number: u64,
    /// A short text of its own.
    pub text: String,
}

/// The id of a request: 16 hexadecimal digits of the gateway's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestId {
    text: [u8; 16],
}

impl RequestId {
    /// A new id from 64 random bits.
    pub fn new(bits: u64) -> RequestId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 16];
        for (index, digit) in text.iter_mut().enumerate() {
            *digit = DIGITS[(bits >> (60 - 4 * index)) as usize & 15];
        }
        RequestId { text }
    }

    /// The id as text; empty where there is no request.
    pub fn as_str(&self) -> &str {
        if self.text[0] == 0 {
            return "";
        }
        std::str::from_utf8(&self.text).unwrap_or("")
    }
}

impl Context {
    /// The token of a session that a cookie of the request holds.
    pub(super) fn token(&self, cookie: &str) -> Option<&[u8]> {
        self.request.cookie(cookie).filter(|token| !token.is_empty())
    }

    /// Names the route.
    pub fn set_route(&mut self, name: &Arc<str>) {
        take_over(&mut self.route, name);
    }

    /// Names the pool.
    pub fn set_pool(&mut self, name: &Arc<str>) {
        take_over(&mut self.pool, name);
    }

    /// A context for requests to come.
    pub fn new(now: Instant) -> Context {
        Context {
            now,
            request: RequestHead::default(),
            response: ResponseHead::default(),
            client: None,
            secure: false,
            certificate: None,
            id: RequestId::default(),
            route: Arc::default(),
            pool: Arc::default(),
            attempt: 0,
            selection: Selection::default(),
            node: None,
            outcome: Outcome::default(),
            reply: Reply::default(),
            notes: Vec::new(),
            spares_response: false,
            session_lost: false,
        }
    }

    /// Forgets the request and keeps the memory. The names of route and pool stay until the next request has its
    /// own: an empty one would be an allocation.
    pub fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
        self.client = None;
        self.certificate = None;
        self.id = RequestId::default();
        self.attempt = 0;
        self.selection.clear();
        self.node = None;
        self.outcome = Outcome::default();
        self.reply.fields.clear();
        self.reply.body.clear();
        self.notes.clear();
        self.spares_response = false;
        self.session_lost = false;
    }
}

/// Nearly always the last request had the same name, and to compare costs nothing, unlike to count.
fn take_over(slot: &mut Arc<str>, name: &Arc<str>) {
    if !Arc::ptr_eq(slot, name) {
        *slot = Arc::clone(name);
    }
}
