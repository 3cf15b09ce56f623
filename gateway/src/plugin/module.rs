//! A compiled plugin: its version, the roles that it plays and what it asks for.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::component::{ComponentExportIndex, InstancePre};

use super::host::Host;
use super::ticker::Pulse;

/// A plugin's version: the SHA-256 of its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Version([u8; 32]);

impl Version {
    /// The version of a file with these bytes.
    pub fn of(bytes: &[u8]) -> Version {
        Version(Sha256::digest(bytes).into())
    }

    /// The whole SHA-256.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The whole SHA-256 as `sha256sum` prints it.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The version of these 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Version> {
        let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
        let bytes: Vec<u8> = digits?.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect();
        (text.len() == 64).then_some(Version(bytes.try_into().ok()?))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.hex()
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Version, String> {
        Version::from_hex(&text).ok_or_else(|| format!("{text:?} is not a SHA-256 hash"))
    }
}

/// The first 12 hexadecimal digits: enough to tell versions apart, short enough to read.
impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// A role that a plugin can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes its configuration.
    Lifecycle,
    /// Chooses the pool.
    Router,
    /// Picks the node.
    Balancer,
    /// Sees and edits messages.
    Filter,
    /// Learns what became of attempts.
    Observer,
    /// Acts between requests.
    Timer,
}

impl Role {
    /// All roles, in the order of their numbers.
    pub const ALL: [Role; 6] =
        [Role::Lifecycle, Role::Router, Role::Balancer, Role::Filter, Role::Observer, Role::Timer];

    /// The role's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Role::Lifecycle => "lifecycle",
            Role::Router => "router",
            Role::Balancer => "balancer",
            Role::Filter => "filter",
            Role::Observer => "observer",
            Role::Timer => "timer",
        }
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Takes its configuration.
    pub const LIFECYCLE: Roles = Roles(1 << Role::Lifecycle as u8);
    /// Chooses the pool.
    pub const ROUTER: Roles = Roles(1 << Role::Router as u8);
    /// Picks the node.
    pub const BALANCER: Roles = Roles(1 << Role::Balancer as u8);
    /// Sees and edits messages.
    pub const FILTER: Roles = Roles(1 << Role::Filter as u8);
    /// Learns what became of attempts.
    pub const OBSERVER: Roles = Roles(1 << Role::Observer as u8);
    /// Acts between requests.
    pub const TIMER: Roles = Roles(1 << Role::Timer as u8);

    /// Whether all of these are among them.
    pub fn contains(self, other: Roles) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether this one is among them.
    pub fn plays(self, role: Role) -> bool {
        self.contains(Roles(1 << role as u8))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn insert(&mut self, role: Role) {
        self.0 |= 1 << role as u8;
    }

    /// The roles in it.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |&role| self.plays(role))
    }
}

/// The roles' names, as "balancer, filter".
impl fmt::Display for Roles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, role) in self.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { ", " })?;
            formatter.write_str(role.name())?;
        }
        Ok(())
    }
}

/// A plugin that was compiled and linked: what uses and instances are made from.
pub struct Module {
    /// Its version.
    pub version: Version,
    /// The roles that it plays.
    pub roles: Roles,
    /// The contract's interfaces that it imports, such as "request" and "sessions".
    pub interfaces: Vec<String>,
    /// Bytes of its file.
    pub size: usize,
    pub(super) pre: InstancePre<Host>,
    /// The same for the waiting lane, if it imports what may wait.
    pub(super) waiting: Option<InstancePre<Host>>,
    pub(super) functions: Functions,
    /// Its engine's, which every call tells that it begins.
    pub(super) pulse: Arc<Pulse>,
}

impl Module {
    /// Whether it imports this interface of the contract.
    pub(super) fn imports(&self, interface: &str) -> bool {
        self.interfaces.iter().any(|imported| imported == interface)
    }
}

/// Where each role's functions are found in an instance: looked up once for all instances.
#[derive(Default)]
pub(super) struct Functions {
    pub(super) configure: Option<ComponentExportIndex>,
    pub(super) route: Option<ComponentExportIndex>,
    pub(super) pick: Option<ComponentExportIndex>,
    pub(super) on_request: Option<ComponentExportIndex>,
    pub(super) on_response: Option<ComponentExportIndex>,
    pub(super) on_complete: Option<ComponentExportIndex>,
    pub(super) period: Option<ComponentExportIndex>,
    pub(super) tick: Option<ComponentExportIndex>,
}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Module")
            .field("version", &self.version)
            .field("roles", &self.roles)
            .field("interfaces", &self.interfaces)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_short_and_tells_contents_apart() {
        assert_eq!(Version::of(b"").to_string(), "e3b0c44298fc");
        assert_ne!(Version::of(b"a"), Version::of(b"b"));
        let version = Version::of(b"a");
        assert_eq!(Version::from_hex(&version.hex()), Some(version));
        assert!(version.hex().starts_with(&version.to_string()));
        for wrong in ["", "e3b0", &"g".repeat(64), &"a".repeat(66)] {
            assert_eq!(Version::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn roles_name_themselves() {
        let mut roles = Roles::default();
        roles.insert(Role::Balancer);
        roles.insert(Role::Filter);
        assert_eq!(roles.to_string(), "balancer, filter");
        assert!(roles.contains(Roles::BALANCER) && !roles.contains(Roles::TIMER));
    }
}
