//! Who is counted with whom: the key of a request in the store.

use std::fmt;
use std::net::IpAddr;

use bascule_plugin::prelude::*;
use serde::de::{Deserializer, Error, Visitor};
use sha2::{Digest, Sha256};

/// What requests that are counted together have in common.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    /// The client's address, of IPv6 the first 64 bits: whoever has one such address has them all.
    #[default]
    Client,
    /// The value of this header; where it is missing, the client's address.
    Header(String),
    /// The route.
    Route,
    /// Nothing: all requests that pass this filter are counted together.
    All,
}

impl By {
    /// The first letter keeps the kinds apart.
    pub(crate) fn key(&self, request: &Request) -> String {
        match self {
            Self::All => "a".to_owned(),
            Self::Route => ["r:", &request.route()].concat(),
            Self::Client => client(request),
            Self::Header(name) => match request.header(name).filter(|value| !value.is_empty()) {
                Some(value) => hashed(&value),
                None => client(request),
            },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match text {
            "client" => Some(Self::Client),
            "route" => Some(Self::Route),
            "all" => Some(Self::All),
            _ => text
                .strip_prefix("header:")
                .filter(|name| !name.is_empty() && name.bytes().all(token))
                .map(|name| Self::Header(name.to_owned())),
        }
    }
}

fn client(request: &Request) -> String {
    let address = request.client_address();
    let network = match address.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            [a, b, c, d].map(|part| [&hex(&part.to_be_bytes()), ":"].concat()).concat()
        }
        _ => address,
    };
    ["c:", &network].concat()
}

/// 128 bits of SHA-256: no two values meet, the key is short, and the store learns nothing of a secret.
fn hashed(value: &[u8]) -> String {
    ["h:", &hex(&Sha256::digest(value)[..16])].concat()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl<'de> Deserialize<'de> for By {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Written)
    }
}

/// A visitor, since an error from within it carries its place, so that the message can name the key.
struct Written;

impl Visitor<'_> for Written {
    type Value = By;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("\"client\", \"header:NAME\", \"route\" or \"all\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<By, E> {
        By::parse(text).ok_or_else(|| {
            let what = ["`", text, "` is none of \"client\", \"header:NAME\", \"route\" and \"all\""];
            E::custom(what.concat())
        })
    }
}
