//! What the command line asks for, read into what cannot be wrong; every mistake is told at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::target::Target;
use super::url::Url;
use crate::control::Announced;
use crate::control::config::{ClientIdentity, ClientTls, Login, NodeAddress, Refused, Secret, Text};
use crate::name::Name;

/// The command line, as it was written. Its documentation is in the program: `bascule register --help`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the program documents each for its users")]
pub struct Wanted {
    pub to: String,
    pub pool: String,
    pub address: String,
    pub id: Option<String>,
    pub weight: u32,
    pub zone: Option<String>,
    pub tier: u8,
    pub labels: Vec<String>,
    pub ttl: String,
    pub health: Option<String>,
    pub health_interval: String,
    pub health_failures: u32,
    pub leave_wait: String,
    pub token_env: Option<String>,
    pub user: Option<String>,
    pub password_env: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub command: Vec<String>,
}

/// The same, complete and right.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(super) to: Target,
    pub(super) pool: Name,
    pub(super) node: Announced,
    pub(super) ttl: Duration,
    pub(super) health: Option<Health>,
    pub(super) leave_wait: Duration,
    pub(super) token: Option<Secret>,
    pub(super) login: Option<Login>,
    pub(super) tls: Option<ClientTls>,
    pub(super) command: Vec<String>,
}

/// How the node is asked whether it is well.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Health {
    pub(super) url: Url,
    pub(super) interval: Duration,
    pub(super) failures: u32,
}

/// A lease may be lost for so long at least.
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// What was found wrong so far.
#[derive(Default)]
struct Reader(Vec<String>);

impl Reader {
    /// Notes what is wrong with an option.
    fn wrong(&mut self, option: &str, what: impl Display, write: impl Display) {
        self.0.push(format!("{option}: {what}\n  = {write}"));
    }

    fn read<T>(&mut self, option: &str, read: Result<T, Refused>) -> Option<T> {
        read.map_err(|refused| self.wrong(option, refused.what, refused.write)).ok()
    }

    /// A secret from the environment.
    fn secret(
        &mut self,
        option: &str,
        name: Option<String>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Secret> {
        let name = name?;
        let found = environment(&name).filter(|text| !text.is_empty());
        if found.is_none() {
            let what = format!("the environment variable {name:?} is not set");
            self.wrong(option, what, format!("set it before: `export {name}=…`"));
        }
        found.map(Secret::new)
    }
}

impl Settings {
    /// Reads the command line. `environment` is asked for the variables that it names.
    ///
    /// # Errors
    /// All that is wrong, with what to write.
    pub fn read(wanted: Wanted, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut reader = Reader::default();
        let pool = reader.read("--pool", Name::parse(&wanted.pool));
        let to = pool.as_ref().and_then(|pool| reader.read("--to", Target::read(&wanted.to, pool)));
        let node = node(&wanted, &mut reader);
        let ttl = reader.read("--ttl", Duration::parse(&wanted.ttl));
        if ttl.is_some_and(|ttl| !(TTL.0..=TTL.1).contains(&ttl) || ttl.subsec_nanos() != 0) {
            reader.wrong("--ttl", "no registry keeps such a lease", "write whole seconds, \"1s\" to \"1h\"");
        }
        let health = health(&wanted, &mut reader);
        let leave_wait = match wanted.leave_wait.as_str() {
            "0s" => Some(Duration::ZERO),
            text => reader.read("--leave-wait", Duration::parse(text)),
        };
        let token = reader.secret("--token-env", wanted.token_env, environment);
        let password = reader.secret("--password-env", wanted.password_env.clone(), environment);
        if wanted.user.is_some() != wanted.password_env.is_some() {
            reader.wrong(
                "--user",
                "a user and a password belong together",
                "add --user NAME, or --password-env NAME",
            );
        }
        if wanted.certificate.is_some() != wanted.key.is_some() {
            reader.wrong(
                "--certificate",
                "a certificate and its key belong together",
                "add --certificate FILE, or --key FILE",
            );
        }
        let login = wanted.user.zip(password).map(|(user, password)| Login { user, password });
        let identity = wanted.certificate.zip(wanted.key);
        let identity = identity.map(|(certificate, key)| ClientIdentity { certificate, key });
        let tls =
            (wanted.ca.is_some() || identity.is_some()).then_some(ClientTls { ca: wanted.ca, identity });
        if let Some(to) = &to {
            let asks_over_tls = health.as_ref().is_some_and(|health| health.url.origin.is_tls());
            let has_idle_tls = tls.is_some() && !asks_over_tls;
            fits(to, token.is_some(), login.is_some(), has_idle_tls, &mut reader);
        }
        let read = (|| {
            let (to, pool, node, ttl, leave_wait) = (to?, pool?, node?, ttl?, leave_wait?);
            Some(Self { to, pool, node, ttl, health, leave_wait, token, login, tls, command: wanted.command })
        })();
        read.filter(|_| reader.0.is_empty()).ok_or_else(|| reader.0.join("\n"))
    }
}

/// What would have no effect is a slip.
fn fits(to: &Target, token: bool, login: bool, has_idle_tls: bool, reader: &mut Reader) {
    if token && !to.has_token() {
        reader.wrong("--token-env", format!("{to} knows no token"), "write --user and --password-env");
    }
    if login && to.has_token() {
        reader.wrong("--user", format!("{to} knows no user"), "write --token-env");
    }
    if has_idle_tls && !to.has_tls() {
        reader.wrong(
            "--ca",
            format!("{to} is spoken to without TLS"),
            "write --to with https:// or …+tls://",
        );
    }
}

/// What is announced of the node, held to the schema of all registries.
fn node(wanted: &Wanted, reader: &mut Reader) -> Option<Announced> {
    let mut labels = BTreeMap::new();
    for label in &wanted.labels {
        match label.split_once('=') {
            Some((key, value)) => drop(labels.insert(key, value)),
            None => reader.wrong("--label", format!("{label:?} has no value"), "write --label version=2"),
        }
    }
    let address = reader.read("--address", NodeAddress::parse(&wanted.address))?;
    let id = wanted.id.clone().unwrap_or_else(|| address.to_string());
    if id.contains('/') {
        reader.wrong(
            "--id",
            format!("{id:?} has a slash"),
            "write one without: it becomes the last part of a key",
        );
    }
    let mut json = json!({ "address": address.as_str(), "weight": wanted.weight, "tier": wanted.tier, "labels": labels });
    if let Some(zone) = &wanted.zone {
        json["zone"] = zone.as_str().into();
    }
    let read = Announced::from_value(&id, json);
    read.map_err(|why| reader.wrong("the node", why, "see `bascule register --help`")).ok()
}

fn health(wanted: &Wanted, reader: &mut Reader) -> Option<Health> {
    let interval = reader.read("--health-interval", Duration::parse(&wanted.health_interval))?;
    let url = reader.read("--health", Url::read(wanted.health.as_ref()?))?;
    Some(Health { url, interval, failures: wanted.health_failures.max(1) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wanted() -> Wanted {
        let text = str::to_owned;
        Wanted {
            to: text("http://gw1:9902"),
            pool: text("api"),
            address: text("10.0.0.5:8080"),
            weight: 1,
            ttl: text("10s"),
            health_interval: text("2s"),
            health_failures: 3,
            leave_wait: text("1s"),
            ..Wanted::default()
        }
    }

    fn wrong(wanted: Wanted) -> String {
        Settings::read(wanted, &|_| None).unwrap_err()
    }

    #[test]
    fn a_node_is_its_address_unless_more_is_said() {
        let settings = Settings::read(wanted(), &|_| None).unwrap();
        assert_eq!((settings.node.id.as_str(), settings.ttl), ("10.0.0.5:8080", Duration::from_secs(10)));
        assert!(settings.health.is_none() && settings.token.is_none() && settings.tls.is_none());
        let more = Wanted {
            id: Some("a-1".to_owned()),
            labels: vec!["version=2".to_owned()],
            token_env: Some("TOKEN".to_owned()),
            health: Some("http://127.0.0.1:8080/healthz".to_owned()),
            leave_wait: "0s".to_owned(),
            ..wanted()
        };
        let settings = Settings::read(more, &|name| Some(format!("the {name}"))).unwrap();
        assert_eq!(settings.node.id.as_str(), "a-1");
        assert!(settings.node.to_json().contains(r#""version":"2""#), "{}", settings.node.to_json());
        assert_eq!(settings.token.as_ref().unwrap().reveal(), "the TOKEN");
        assert!(!format!("{settings:?}").contains("the TOKEN"));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let all = wrong(Wanted {
            to: "gw1".to_owned(),
            address: "10.0.0.5".to_owned(),
            ttl: "500ms".to_owned(),
            labels: vec!["version".to_owned()],
            health: Some("healthz".to_owned()),
            token_env: Some("TOKEN".to_owned()),
            user: Some("me".to_owned()),
            ..wanted()
        });
        for option in ["--to", "--address", "--ttl", "--label", "--health", "--token-env", "--user"] {
            assert!(all.contains(&format!("{option}: ")), "{option} is not named:\n{all}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let login = Wanted { user: Some("me".to_owned()), password_env: Some("P".to_owned()), ..wanted() };
        let read = |wanted| Settings::read(wanted, &|_| Some("secret".to_owned())).unwrap_err();
        assert!(read(login).contains("knows no user"));
        let etcd = Wanted { to: "etcd://a:2379".to_owned(), token_env: Some("T".to_owned()), ..wanted() };
        assert!(read(etcd).contains("knows no token"));
        assert!(read(Wanted { ca: Some("ca.pem".into()), ..wanted() }).contains("without TLS"));
    }
}
