//! What an ACME server is told and where it is.

use super::address::is_dns_name;
use super::{Refused, Text, refuse};

/// A name that an ACME server can certify by a challenge that is made here.
#[derive(Clone)]
pub(in crate::control::config) struct AcmeName(pub(in crate::control::config) String);

impl Text for AcmeName {
    const WHAT: &'static str = "a name such as \"shop.example\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let name = text.to_ascii_lowercase();
        if name.starts_with("*.") {
            let write = "write each name by itself, or get this certificate elsewhere and name its files in `certificates`";
            return refuse(
                format!("{text:?} has to be proved in DNS (DNS-01), which is not done here"),
                write,
            );
        }
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        if is_dns_name(&name) && name.contains('.') && !is_address {
            return Ok(Self(name));
        }
        refuse(
            format!("{text:?} is no name that can be certified"),
            "write a DNS name in full: \"shop.example\"",
        )
    }
}

/// Where an ACME server's directory is.
#[derive(Clone)]
pub(in crate::control::config) struct AcmeDirectory(pub(in crate::control::config) String);

impl Text for AcmeDirectory {
    const WHAT: &'static str = "a URL such as \"https://acme.example/directory\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let uri: Option<::http::Uri> = text.parse().ok();
        let is_good = uri.as_ref().is_some_and(|uri| {
            let authority = uri.authority().map(::http::uri::Authority::as_str);
            uri.scheme_str() == Some("https") && authority.is_some_and(|authority| !authority.contains('@'))
        });
        if is_good {
            return Ok(Self(text.to_owned()));
        }
        let write =
            "write the URL of the server's directory: \"https://acme-v02.api.letsencrypt.org/directory\"";
        refuse("this is no URL with https://", write)
    }
}

/// Whom an ACME server may write to.
#[derive(Clone)]
pub(in crate::control::config) struct AcmeContact(pub(in crate::control::config) String);

impl Text for AcmeContact {
    const WHAT: &'static str = "a URL such as \"mailto:admin@shop.example\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let address = text.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?,".contains(&byte));
        match address {
            Some((user, host)) if is_plain && !user.is_empty() && is_dns_name(host) => {
                Ok(Self(text.to_owned()))
            }
            _ => refuse(
                format!("{text:?} is nobody to write to"),
                "write \"mailto:\" and one address: \"mailto:admin@shop.example\"",
            ),
        }
    }
}
