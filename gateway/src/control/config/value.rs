//! Values that are more than one string or number: secrets, a plugin's configuration, nodes, folders.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use toml::de::DeValue;

use super::file;
use super::reading::{Item, Number, Reading, Value, texts};
use super::resolved::AcmeChallenge;
use super::resolved::{
    CheckStart, ClientCertificate, Grant, HedgeAfter, HostHeader, ListenerProtocol, LogFormat, LogLevel,
    OnFault, Quarantine, Redirect, RetryOn, TlsVersion, UnknownName, Workers,
};
use super::resolved::{EscapedSlashes, Underscores};
use super::resolved::{FailMode, SharedScope};
use super::secret::{PluginConfig, Secret};
use super::text::{AcmeContact, AcmeDirectory, AcmeName};
use super::text::{DnsName, HostPattern, Method, NodeAddress, Origin, Patience, Size, Text};
use super::text::{PluginFile, RedisUrl, RoutePath, Sha256, Word};
use crate::cidr::Cidr;
use crate::name::Name;
use crate::transport::dial::NodeProtocol;
use crate::transport::proxy_protocol::Version as ProxyVersion;

texts!(String, Name, Cidr, SocketAddr, Duration, Size, NodeAddress, HostPattern, HostHeader, Method);
texts!(
    PluginFile,
    RoutePath,
    Sha256,
    Word,
    Grant,
    OnFault,
    LogFormat,
    LogLevel,
    StoreWord,
    FailMode,
    SharedScope,
    RedisModeWord,
    RedisUrl,
    NodeProtocol,
    ProxyVersion,
    CheckType,
    CheckStart,
    RetryOn,
    HedgeAfter,
    EscapedSlashes,
    Underscores,
    ClientCertificate,
    ListenerProtocol,
    Redirect,
    TlsVersion,
    UnknownName,
    DnsName,
    Origin,
    Patience,
    ProviderWord,
    RecordWord,
    LeaseWord,
    AcmeChallenge,
    AcmeContact,
    AcmeDirectory,
    AcmeName
);

impl Value for Workers {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::String(text) if text == "auto" => Some(Self::Auto),
            DeValue::Integer(_) => {
                let Number::<1, 1024>(count) = Number::read(item, reading)?;
                NonZeroUsize::new(count as usize).map(Self::Count)
            }
            _ => reading.wrong(
                item,
                "this is no number of workers",
                "write \"auto\", or how many without quotes: 4",
            ),
        }
    }
}

impl Value for Quarantine {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::String(text) if text == "off" => Some(Self::Off),
            DeValue::Table(_) => {
                let Self::After { faults, window } = Self::default() else { return None };
                let after = file::QuarantineAfter::read(item, reading)?;
                let wanted = after.faults.get().and_then(|at| NonZeroU32::new(at.value.0));
                Some(Self::After { faults: wanted.unwrap_or(faults), window: after.window.unless(window) })
            }
            _ => reading.wrong_type(item, "`{ faults = 20, window = \"10s\" }`, or \"off\" for none at all"),
        }
    }
}

/// What keeps sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreWord {
    Memory,
    Redis,
    Cookie,
}

/// What the servers of Redis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedisModeWord {
    Standalone,
    Sentinel,
    Cluster,
}

/// How a node is asked whether it is well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckType {
    Http,
    Tcp,
    Grpc,
}

impl CheckType {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Grpc => "grpc",
        }
    }
}

/// Statuses that follow each other: one, or the first and the last.
#[derive(Clone)]
pub(super) struct StatusRange(pub(super) RangeInclusive<u16>);

impl StatusRange {
    fn parse(text: &str) -> Option<Self> {
        let status = |text: &str| {
            let three_digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            let number = text.parse().ok().filter(|_| three_digits);
            number.filter(|status| (200..=599).contains(status))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = status(first)?..=status(last)?;
        (!range.is_empty()).then_some(Self(range))
    }
}

impl Value for StatusRange {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = match item.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => return reading.wrong_type(item, "a status (200) or a range of them (\"200-299\")"),
        };
        Self::parse(&text).or_else(|| {
            let write = "write a status from 200 to 599, or a range of them: 204, \"200-299\"";
            reading.wrong(item, format!("{text} is no final status"), write)
        })
    }
}

/// Whether a pool's limit adapts: "off", `true`, or within which bounds.
#[derive(Clone)]
pub(super) enum AdaptiveWish {
    Off,
    On(file::AdaptiveRange),
}

impl Value for AdaptiveWish {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::String(text) if text == "off" => Some(Self::Off),
            DeValue::Boolean(false) => Some(Self::Off),
            DeValue::Boolean(true) => Some(Self::On(file::AdaptiveRange::default())),
            DeValue::Table(_) => file::AdaptiveRange::read(item, reading).map(Self::On),
            _ => reading.wrong_type(item, "true, `{ min = 4, max = 500 }`, or \"off\" for none at all"),
        }
    }
}

/// A folder; a relative one begins where the file is that names it.
#[derive(Clone)]
pub(super) struct Folder(pub(super) PathBuf);

impl Value for Folder {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let path = String::read(item, reading)?;
        if path.is_empty() || path.contains('\0') {
            return reading.wrong(item, "this is no path", "write a folder: \"plugins\"");
        }
        Some(Self(reading.folder.join(path)))
    }
}

/// Who tells a pool's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProviderWord {
    Registry,
    File,
    Dns,
    Consul,
    Etcd,
    Zookeeper,
}

/// What keeps the leases of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseWord {
    Memory,
    Redis,
    Etcd,
}

/// What a name server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordWord {
    Address,
    Srv,
}

/// A path of this machine or of another tree: what it is depends on another key.
#[derive(Clone)]
pub(super) struct AnyPath {
    pub(super) written: String,
    /// As a path of this machine: a relative one begins where the file is that names it.
    pub(super) joined: PathBuf,
}

impl Value for AnyPath {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let written = String::read(item, reading)?;
        if written.is_empty() || written.contains('\0') {
            return reading.wrong(item, "this is no path", "write one: \"nodes.toml\"");
        }
        Some(Self { joined: reading.folder.join(&written), written })
    }
}

/// A node: a table, or its address alone.
#[derive(Clone)]
pub(super) struct NodeEntry(pub(super) file::Node);

impl Value for NodeEntry {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::String(_) => {
                let address = NodeAddress::read(item, reading)?;
                let address = super::reading::Key::Is(super::error::At::new(address, reading.place(item)));
                Some(Self(file::Node { address, ..file::Node::default() }))
            }
            DeValue::Table(_) => file::Node::read(item, reading).map(Self),
            _ => reading.wrong_type(
                item,
                "an address, or a table such as `{ address = \"10.0.0.1:8080\", weight = 2 }`",
            ),
        }
    }
}

impl Value for Secret {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = match item.get_ref() {
            DeValue::String(text) => text.to_string(),
            _ => match secret_source(item) {
                Some(source) => fetch(&source, item, reading)?,
                None => {
                    return reading.wrong_type(
                        item,
                        "a string, `{ env = \"NAME\" }` or `{ file = \"/run/secrets/x\" }`",
                    );
                }
            },
        };
        if text.is_empty() {
            return reading.wrong(item, "the secret is empty", "write one, or leave the key out");
        }
        Some(Self::new(text))
    }
}

/// Where a secret is kept.
enum SecretSource {
    Environment(String),
    File(String),
}

/// `{ env = "…" }` or `{ file = "…" }` and nothing else.
fn secret_source(item: &Item<'_>) -> Option<SecretSource> {
    let table = item.get_ref().as_table().filter(|table| table.len() == 1)?;
    let (key, value) = table.iter().next()?;
    let value = value.get_ref().as_str()?.to_owned();
    match key.get_ref().as_ref() {
        "env" => Some(SecretSource::Environment(value)),
        "file" => Some(SecretSource::File(value)),
        _ => None,
    }
}

/// The secret itself. One line end behind a file's text is not part of it: editors put it there.
fn fetch(source: &SecretSource, item: &Item<'_>, reading: &mut Reading<'_>) -> Option<String> {
    match source {
        SecretSource::Environment(name) => match reading.outside.environment(name) {
            Ok(text) => Some(text),
            Err(std::env::VarError::NotPresent) => {
                let write = format!("set it before the gateway starts: `export {name}=…`");
                reading.wrong(item, format!("the environment variable {name:?} is not set"), &write)
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                let what = format!("the environment variable {name:?} is not UTF-8 text");
                reading.wrong(item, what, "encode it, for instance as base64")
            }
        },
        SecretSource::File(path) => {
            let content = reading.outside.read(&reading.folder.join(path));
            match content.map(String::from_utf8) {
                Ok(Ok(text)) => Some(
                    text.strip_suffix('\n')
                        .map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t))
                        .to_owned(),
                ),
                Ok(Err(_)) => {
                    let what = format!("the secret's file {path:?} is not UTF-8 text");
                    reading.wrong(item, what, "encode it, for instance as base64")
                }
                Err(error) => {
                    let what = format!("the secret's file {path:?} cannot be read: {error}");
                    reading.wrong(item, what, "create it, readable for the gateway, or name another")
                }
            }
        }
    }
}

impl Value for PluginConfig {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !item.get_ref().is_table() || secret_source(item).is_some() {
            return reading.wrong_type(item, "a table with the plugin's keys: `{ key = \"value\" }`");
        }
        let mut secret = false;
        json(item, &mut secret, reading).map(|json| Self::new(json, secret))
    }
}

/// The same value as JSON, which has no dates and no infinite numbers. All that is wrong below is noted.
fn json(item: &Item<'_>, secret: &mut bool, reading: &mut Reading<'_>) -> Option<Json> {
    if let Some(source) = secret_source(item) {
        *secret = true;
        return fetch(&source, item, reading).map(Json::String);
    }
    match item.get_ref() {
        DeValue::String(text) => Some(Json::String(text.to_string())),
        DeValue::Boolean(value) => Some(Json::Bool(*value)),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Some(number.into()),
            Err(_) => {
                reading.wrong(item, format!("{integer} needs more than 64 bits"), "write it as a string")
            }
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
            Some(number) => Some(Json::Number(number)),
            None => {
                reading.wrong(item, format!("{float} is no number that JSON has"), "write a finite number")
            }
        },
        DeValue::Datetime(date) => reading.wrong(
            item,
            "plugins get their configuration as JSON, which has no dates",
            &format!("write \"{date}\""),
        ),
        DeValue::Array(items) => {
            let all: Vec<_> = items.iter().map(|item| json(item, secret, reading)).collect();
            all.into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
        }
        DeValue::Table(table) => {
            let all =
                table.iter().map(|(key, item)| (key.get_ref().to_string(), json(item, secret, reading)));
            let all: Vec<_> = all.collect();
            let all: Option<Map<_, _>> = all.into_iter().map(|(key, value)| Some((key, value?))).collect();
            all.map(Json::Object)
        }
    }
}
