//! TLS of the gateway as a client of registries: which certificates it trusts, and what it shows of itself.
//!
//! The files are read when a connection is made anew after a loss, so a certificate that was renewed is taken by itself.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use super::config::ClientTls;
use super::pem::{self, PemError};

/// What a client needs to speak TLS.
///
/// # Errors
/// Which file cannot be used, and why, as a sentence without its full stop.
pub(crate) fn client_config(tls: &ClientTls) -> Result<Arc<ClientConfig>, String> {
    let roots = pem::roots(tls.ca.as_deref()).map_err(said)?;
    // Named, since a dependency may have chosen another for the process.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let Some(identity) = &tls.identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = pem::chain(&identity.certificate).map_err(said)?;
    let shown = builder.with_client_auth_cert(chain, pem::private_key(&identity.key).map_err(said)?);
    Ok(Arc::new(shown.map_err(|error| format!("{}: {error}", identity.certificate.display()))?))
}

fn said(error: PemError) -> String {
    format!("{error}: {}", error.advice())
}

/// What the files hold, still as text: for clients that make of it what they need.
#[derive(Default)]
pub(super) struct Pem {
    /// The authorities that may vouch for a server; none stands for the system's.
    pub(super) ca: Option<String>,
    /// The client's own certificate, and its key.
    pub(super) identity: Option<(String, String)>,
}

impl Pem {
    /// Reads them.
    ///
    /// # Errors
    /// Which file cannot be read, and why, as a sentence without its full stop.
    pub(super) fn read(tls: &ClientTls) -> Result<Self, String> {
        let text = |path: &Path| {
            let content = pem::read(path).map_err(said)?;
            String::from_utf8(content).map_err(|_| format!("{} is no text", path.display()))
        };
        let ca = tls.ca.as_deref().map(text).transpose()?;
        let identity = match &tls.identity {
            Some(own) => Some((text(&own.certificate)?, text(&own.key)?)),
            None => None,
        };
        Ok(Self { ca, identity })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::control::config::ClientIdentity;
    use test_servers::Certificates;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let made = Certificates::make();
        let identity = |certificate, key| Some(ClientIdentity { certificate, key });
        let good =
            ClientTls { ca: Some(made.authority()), identity: identity(made.client(), made.client_key()) };
        assert!(client_config(&good).is_ok());
        let missing = made.folder().join("missing.pem");
        for (tls, named) in [
            (ClientTls { ca: Some(missing.clone()), identity: None }, "missing.pem"),
            (ClientTls { ca: Some(made.client_key()), identity: None }, "there is no certificate in"),
            (ClientTls { identity: identity(made.client(), missing), ..good.clone() }, "missing.pem"),
            (
                ClientTls { identity: identity(made.client(), made.server_key()), ..good.clone() },
                "client.pem",
            ),
        ] {
            let error = client_config(&tls).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
