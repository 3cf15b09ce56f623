//! The configurations of a benchmark's servers, as text. No file is written and nothing is started here.
//!
//! The proxies do the same work: kept connections to two nodes on both sides, one worker, no access log. Under TLS they
//! speak version 1.3 with one P-256 certificate, and hand out tickets, as each does by itself.

pub(super) mod bascule;
pub(super) mod haproxy;
pub(super) mod nginx;

use std::path::Path;

/// What clients meet.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Front {
    /// HTTP in the clear.
    Http,
    /// HTTP/1.1 and HTTP/2 under TLS; nodes are met in the clear.
    Tls,
    /// TCP that is passed on by the name in the client's TLS greeting; the nodes end TLS.
    Tcp,
}

/// What the configurations of proxies share.
pub(super) struct Setup<'a> {
    /// Where the proxy listens.
    pub(super) port: u16,
    /// Where bascule's admin API listens.
    pub(super) admin: u16,
    pub(super) front: Front,
    /// Where the nodes listen.
    pub(super) nodes: [u16; 2],
    /// The folder of `site.pem`, `site.key`, and both in `both.pem`.
    pub(super) certificate: &'a Path,
    /// How many client connections must fit.
    pub(super) connections: u64,
}
