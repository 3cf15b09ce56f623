//! A configured use of a plugin: which file, with which configuration, grants and limits.

use std::sync::Arc;
use std::time::Duration;

use super::fault::LoadError;
use super::module::Module;
use super::services::Services;
use super::stats::UseStats;

/// What a filter's fault means for the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// It is answered with 500.
    #[default]
    Fail,
    /// It goes on without the filter.
    Skip,
}

/// Bounds of one use's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory for each instance.
    pub memory: usize,
    /// CPU time of a call.
    pub deadline: Duration,
    /// Instances for each worker. A call of the synchronous lane never waits, so one is ever busy there.
    pub instances: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 16 * 1024 * 1024, deadline: Duration::from_millis(1), instances: 1 }
    }
}

/// What the configuration says of a use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Its `config` as JSON text; "{}" if it has none.
    pub configuration: String,
    /// What its faults mean as a filter.
    pub on_fault: OnFault,
    /// The capabilities that it has beside the default ones.
    pub grants: Vec<String>,
    /// Its bounds.
    pub limits: Limits,
}

/// The grants that are not given by default, as flags: they are asked for on the request path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grants {
    /// May read credentials.
    pub(super) credentials: bool,
    /// May set the Host field.
    pub(super) host: bool,
    shared: bool,
}

/// Grants that can be given, for sentences. Those by default are accepted too.
const GRANTS: [&str; 4] = ["credentials", "host", "sessions", "shared"];

impl Grants {
    fn new(name: &str, granted: &[String]) -> Result<Grants, LoadError> {
        let mut grants = Grants::default();
        for grant in granted {
            match &**grant {
                "credentials" => grants.credentials = true,
                "host" => grants.host = true,
                "shared" => grants.shared = true,
                "request" | "nodes" | "log" | "metrics" | "sessions" => {}
                unknown => {
                    return Err(LoadError::Refused(format!(
                        "plugin \"{name}\" is granted \"{unknown}\", which is not known; there are {}",
                        GRANTS.join(", ")
                    )));
                }
            }
        }
        Ok(grants)
    }

    fn allows(self, interface: &str) -> bool {
        interface != "shared" || self.shared
    }
}

/// A use: a plugin with its configuration.
#[derive(Debug)]
pub struct Use {
    /// A small number that stands for the use's name as long as the process lives.
    pub key: u32,
    /// Unique for each pair of module and spec, so that a change is seen.
    pub generation: u64,
    /// What the configuration says.
    pub spec: UseSpec,
    /// The plugin.
    pub module: Arc<Module>,
    /// What it did; survives versions.
    pub stats: Arc<UseStats>,
    /// What is kept outside instances.
    pub services: Arc<Services>,
    pub(super) grants: Grants,
}

impl Use {
    /// A use of this module, if the use is granted what the module asks for.
    pub fn new(
        key: u32,
        generation: u64,
        spec: UseSpec,
        module: Arc<Module>,
        stats: Arc<UseStats>,
        services: Arc<Services>,
    ) -> Result<Use, LoadError> {
        let grants = Grants::new(&spec.name, &spec.grants)?;
        for interface in &module.interfaces {
            if !grants.allows(interface) {
                let (name, all) = (&spec.name, with(&spec.grants, interface));
                return Err(LoadError::Refused(format!(
                    "plugin \"{name}\" uses \"{interface}\", which it is not granted; write `grants = [{all}]` in \
                     [plugin.{name}]"
                )));
            }
        }
        Ok(Use { key, generation, spec, module, stats, services, grants })
    }
}

/// Whether a plugin that imports this interface is refused unless its use is granted it.
pub fn needs_grant(interface: &str) -> bool {
    !Grants::default().allows(interface)
}

/// The grants and one more, as TOML writes them.
fn with(grants: &[String], more: &str) -> String {
    let all = grants.iter().map(|grant| &**grant).chain([more]);
    all.map(|grant| format!("\"{grant}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn unknown_grants_are_refused_by_name() {
        let error = Grants::new("edge", &["shard".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "plugin \"edge\" is granted \"shard\", which is not known; there are credentials, host, sessions, shared"
        );
    }

    #[test]
    fn the_line_to_write_keeps_what_was_granted() {
        assert_eq!(with(&["host".to_owned()], "shared"), "\"host\", \"shared\"");
        assert_eq!(with(&[], "shared"), "\"shared\"");
    }
}
