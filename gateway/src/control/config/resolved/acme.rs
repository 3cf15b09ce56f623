//! Certificates that the gateway gets by itself.

use std::path::PathBuf;

use crate::control::config::error::At;

/// How a listener's certificate is got by ACME (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// What it is for; at least one, in small letters.
    pub names: Vec<String>,
    /// The URL of the server's directory, under HTTPS.
    pub directory: String,
    /// Whom the server may write to, as `mailto:` URLs.
    pub contact: Vec<String>,
    /// The authorities that vouch for the server; the system's if there is none.
    pub ca: Option<At<PathBuf>>,
    /// How the names are proved.
    pub challenge: AcmeChallenge,
    /// The folder that it and the account are kept in.
    pub folder: PathBuf,
    /// The file there with the certificate and its key.
    pub kept: PathBuf,
}

/// How a name is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// In a handshake on port 443 (RFC 8737).
    TlsAlpn01,
    /// By a file over HTTP on port 80 (RFC 8555, 8.3).
    Http01,
}
