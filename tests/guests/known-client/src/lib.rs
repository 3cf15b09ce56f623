//! A filter that lets in only clients whose certificate has one of these URIs: `config = { uris = ["spiffe://example/shop"] }`.
//! The node learns of the certificate what the filter knows.

use bascule_plugin::prelude::*;

/// Its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownClient {
    uris: Vec<String>,
}

impl Lifecycle for KnownClient {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, String> {
        Ok(config)
    }
}

impl Filter for KnownClient {
    fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
        let shown = request.client_certificate_names("uri");
        if !shown.iter().any(|uri| self.uris.contains(uri)) {
            return Answer::new(403).body("your certificate is not known here\n").into();
        }
        let subject = request.client_certificate_subject().unwrap_or_default();
        let fingerprint = request.client_certificate_fingerprint().unwrap_or_default();
        let claimed = request.header("client-cert").is_some().to_string();
        for (name, value) in
            [("x-client", subject), ("x-client-fingerprint", fingerprint), ("x-client-claimed", claimed)]
        {
            if request.set_header(name, value).is_err() {
                return Answer::new(403).body("your certificate cannot be told of\n").into();
            }
        }
        // Nobody but the gateway may say this.
        match request.set_header("client-cert", ":AAAA:") {
            Ok(()) => Answer::new(500).into(),
            Err(_) => Verdict::GoOn,
        }
    }
}

bascule_plugin::export!(KnownClient: lifecycle, filter);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{FilterTest, json, request};

    use super::KnownClient;

    #[test]
    fn who_shows_another_certificate_or_none_is_not_let_in() {
        let uris = json!({ "uris": ["spiffe://example/shop"] });
        let mut test = FilterTest::<KnownClient>::configured(uris).expect("the configuration is right");
        let other = request("GET", "/").certificate("CN=other", &[("uri", "spiffe://example/other")]);
        let dns = request("GET", "/").certificate("CN=dns", &[("dns", "spiffe://example/shop")]);
        for request in [request("GET", "/"), other, dns] {
            assert_eq!(test.on_request(&request).answer.map(|answer| answer.status), Some(403));
        }
    }
}
