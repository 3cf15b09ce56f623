//! Tries uses: a module, a configuration, and whether they fit what the routes and pools want of them.
//!
//! A use that did not change stays the same one, with its warm instances. It knows nothing of files and folders.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::{self, Config, Error, Place};
use super::library::Compiled;
use crate::name::Name;
use crate::plugin::{Limits, OnFault, Roles, Services, Tolerance, Use, UseSpec, UseStats, Version};
use crate::store::Scope;

/// Where uses are mentioned, and so what they have to be able to do.
pub(super) struct Mentions {
    policies: BTreeMap<Name, Place>,
    filters: BTreeMap<Name, Place>,
}

impl Mentions {
    /// What this configuration mentions; of several places the last one.
    pub(super) fn of(config: &Config) -> Self {
        let named = |name: &config::At<Name>| (name.value.clone(), name.place.clone());
        Self {
            policies: config.pools.values().flat_map(|pool| &pool.policy).map(named).collect(),
            filters: config.routes.iter().flat_map(|route| &route.filters).map(named).collect(),
        }
    }

    /// Whether a plugin with these roles can be what its use is mentioned as.
    fn check(&self, used: &config::Use, roles: Roles) -> Result<(), Error> {
        let name = &used.name.value;
        let lacks = |place: &Place, what: &str| {
            let error =
                Error::new(place, format!("plugin \"{name}\" cannot be a {what}: its roles are {roles}"));
            Err(error.note(format!("name another plugin here, or let {} play such a role", used.file.value)))
        };
        if let Some(place) = self.policies.get(name)
            && !roles.contains(Roles::BALANCER)
        {
            return lacks(place, "policy");
        }
        let acts =
            [Roles::ROUTER, Roles::FILTER, Roles::OBSERVER].into_iter().any(|role| roles.contains(role));
        match self.filters.get(name) {
            Some(place) if !acts => lacks(place, "filter"),
            _ => Ok(()),
        }
    }
}

/// What is kept of a use for as long as the process lives.
struct Kept {
    /// What sessions and notes know the use by, whatever its place in a snapshot is.
    key: u32,
    stats: Arc<UseStats>,
    /// The one that serves.
    serving: Option<Made>,
}

/// A use and what it was made from.
#[derive(Clone)]
pub(super) struct Made {
    from: (config::Use, Version),
    pub(super) made: Arc<Use>,
}

/// All uses that there ever were, by name.
pub(super) struct Uses {
    services: Arc<Services>,
    kept: BTreeMap<Name, Kept>,
}

impl Uses {
    /// No use was made yet.
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self { services, kept: BTreeMap::new() }
    }

    /// The use, on this content of its file: the one that serves if neither changed, else a new one that passed its
    /// trial.
    ///
    /// # Errors
    /// Why it is refused, at its place in the configuration.
    pub(super) fn make(
        &mut self,
        used: &config::Use,
        mentions: &Mentions,
        compiled: &Compiled,
    ) -> Result<Made, Error> {
        let name = &used.name.value;
        let error = |what: String| Error::new(&used.name.place, what);
        let of_file = |why: &str| error(format!("plugin \"{name}\": {}: {why}", used.file.value));
        let module = compiled.module.as_ref().map_err(|why| of_file(&why.to_string()))?;
        if used.sha256.is_some_and(|wanted| wanted != *compiled.version.bytes()) {
            let error = of_file("it has another content than its sha256 says");
            return Err(error.note("put the right file into the folder, or write the new hash"));
        }
        mentions.check(used, module.roles)?;
        let next_key = self.kept.len() as u32;
        let new = || Kept { key: next_key, stats: Arc::default(), serving: None };
        let kept = self.kept.entry(name.clone()).or_insert_with(new);
        let from = (used.clone(), compiled.version);
        if let Some(serving) = kept.serving.as_ref().filter(|serving| serving.from == from) {
            return Ok(serving.clone());
        }
        let generation = kept.serving.as_ref().map_or(1, |serving| serving.made.generation + 1);
        let (module, stats, services) =
            (Arc::clone(module), Arc::clone(&kept.stats), Arc::clone(&self.services));
        let made = Use::new(kept.key, generation, use_spec(used), module, stats, services);
        let made = made.and_then(|made| made.trial().map(|()| made));
        let made = made.map_err(|why| error(why.to_string()))?;
        Ok(Made { from, made: Arc::new(made) })
    }

    /// These serve from now on.
    pub(super) fn serve<'a>(&mut self, made: impl Iterator<Item = &'a Made>) {
        for made in made {
            if let Some(kept) = self.kept.get_mut(&made.from.0.name.value) {
                if kept.serving.as_ref().is_some_and(|before| !Arc::ptr_eq(&before.made, &made.made)) {
                    kept.stats.count_swap();
                }
                kept.serving = Some(made.clone());
            }
        }
    }
}

/// What the host is told of a use.
pub fn use_spec(used: &config::Use) -> UseSpec {
    UseSpec {
        name: used.name.as_str().into(),
        configuration: used.config.json().to_string(),
        on_fault: match used.on_fault {
            config::OnFault::Fail => OnFault::Fail,
            config::OnFault::Skip => OnFault::Skip,
        },
        grants: used.grants.iter().map(|grant| grant.as_str().to_owned()).collect(),
        limits: Limits {
            memory: usize::try_from(used.limits.memory.get()).unwrap_or(usize::MAX),
            deadline: used.limits.deadline,
            start: used.limits.start,
            instances: used.limits.instances.map(|most| most.get() as usize),
            table_elements: used.limits.table_elements.get() as usize,
            import_bytes: usize::try_from(used.limits.import_bytes.get()).unwrap_or(usize::MAX),
            recycle_calls: used.limits.recycle_calls.map(|calls| u64::from(calls.get())),
            recycle_memory: usize::try_from(used.limits.recycle_memory.get()).unwrap_or(usize::MAX),
            quarantine: match used.quarantine {
                config::Quarantine::Off => None,
                config::Quarantine::After { faults, window } => Some(Tolerance { faults, window }),
            },
        },
        shared: match used.shared {
            config::SharedScope::Gateway => Scope::Gateway,
            config::SharedScope::Cluster => Scope::Cluster,
        },
    }
}
