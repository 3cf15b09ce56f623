//! Words of which one has to be chosen.

use super::nearest::nearest;
use super::resolved::AcmeChallenge;
use super::resolved::{
    CheckStart, ClientCertificate, Grant, ListenerProtocol, LogFormat, LogLevel, OnFault, Redirect,
    TlsVersion, UnknownName,
};
use super::resolved::{EscapedSlashes, Underscores};
use super::resolved::{FailMode, SharedScope};
use super::text::{Refused, Text};
use super::value::{CheckType, LeaseWord, ProviderWord, RecordWord};
use super::value::{RedisModeWord, StoreWord};
use crate::transport::dial::NodeProtocol;
use crate::transport::proxy_protocol::Version as ProxyVersion;

/// The value of a word, or the words that there are.
fn choose<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Refused> {
    let chosen = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    chosen.ok_or_else(|| {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let all = all.join(", ");
        let write = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) if words.len() > 1 => format!("did you mean \"{near}\"? There are: {all}"),
            _ => format!("write one of: {all}"),
        };
        Refused { what: format!("there is no {text:?} here"), write }
    })
}

macro_rules! choices {
    ($($type:ident, $what:literal: { $($word:literal => $variant:ident),* };)*) => { $(
        impl Text for $type {
            const WHAT: &'static str = $what;
            fn parse(text: &str) -> Result<Self, Refused> {
                choose(text, &[$(($word, Self::$variant)),*])
            }
        }
    )* };
}

choices! {
    OnFault, "\"fail\" or \"skip\"": { "fail" => Fail, "skip" => Skip };
    LogFormat, "\"human\" or \"json\"": { "human" => Human, "json" => Json };
    LogLevel, "a level such as \"info\"":
        { "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace };
    StoreWord, "\"memory\", \"redis\" or \"cookie\"": { "memory" => Memory, "redis" => Redis, "cookie" => Cookie };
    FailMode, "\"move\" or \"refuse\"": { "move" => Move, "refuse" => Refuse };
    SharedScope, "\"gateway\" or \"cluster\"": { "gateway" => Gateway, "cluster" => Cluster };
    RedisModeWord, "\"standalone\", \"sentinel\" or \"cluster\"":
        { "standalone" => Standalone, "sentinel" => Sentinel, "cluster" => Cluster };
    EscapedSlashes, "\"refuse\" or \"keep\"": { "refuse" => Refuse, "keep" => Keep };
    Underscores, "\"drop\" or \"keep\"": { "drop" => Drop, "keep" => Keep };
    ProxyVersion, "\"v1\" or \"v2\"": { "v1" => V1, "v2" => V2 };
    NodeProtocol, "\"http1\" or \"http2\"": { "http1" => Http1, "http2" => Http2 };
    CheckType, "\"http\", \"tcp\" or \"grpc\"": { "http" => Http, "tcp" => Tcp, "grpc" => Grpc };
    ListenerProtocol, "\"http\" or \"tcp\"": { "http" => Http, "tcp" => Tcp };
    UnknownName, "\"first\" or \"refuse\"": { "first" => First, "refuse" => Refuse };
    TlsVersion, "\"1.2\" or \"1.3\"": { "1.2" => V12, "1.3" => V13 };
    ClientCertificate, "\"required\" or \"optional\"": { "required" => Required, "optional" => Optional };
    AcmeChallenge, "\"tls-alpn-01\" or \"http-01\"": { "tls-alpn-01" => TlsAlpn01, "http-01" => Http01 };
    CheckStart, "\"check\" or \"up\"": { "check" => Check, "up" => Up };
    ProviderWord, "a provider such as \"dns\"": {
        "registry" => Registry, "file" => File, "dns" => Dns, "consul" => Consul, "etcd" => Etcd, "zookeeper" => Zookeeper
    };
    LeaseWord, "\"memory\", \"redis\" or \"etcd\"": { "memory" => Memory, "redis" => Redis, "etcd" => Etcd };
    RecordWord, "\"address\" or \"srv\"": { "address" => Address, "srv" => Srv };
}

impl Text for Redirect {
    const WHAT: &'static str = "\"https\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let port = match text.strip_prefix("https") {
            Some("") => Some(443),
            Some(rest) => rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port != 0),
            None => None,
        };
        port.map(|port| Self { port }).ok_or_else(|| Refused {
            what: format!("{text:?} is nowhere to send clients"),
            write: "write \"https\", or with its port \"https:8443\"".to_owned(),
        })
    }
}

impl Text for Grant {
    const WHAT: &'static str = "a grant such as \"shared\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        choose(text, &Self::ALL.map(|grant| (grant.as_str(), grant)))
            .map_err(|refused| Refused { what: format!("there is no grant {text:?}"), ..refused })
    }
}
