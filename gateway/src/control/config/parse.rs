//! From mirrored files to a [`Config`]: joins the files, fills in defaults, and checks what concerns several tables.
//!
//! Pure: no file, no socket, no plugin. Each check notes its error and goes on.

mod acme;
mod discovery;
mod edge;
mod health;
mod limits;
mod listener;
mod passthrough;
mod pool;
mod proxy_protocol;
mod registry;
mod retry;
mod route;
mod stores;
mod timeouts;
mod tls;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::error::{At, Error, Place};
use super::file::{self, File};
use super::nearest::nearest;
use super::reading::{Entry, Key, Named};
use super::resolved::*;
use super::text::Size;
use super::value::Folder;
use crate::name::Name;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What is found wrong, and whether all files could be read: if not, a name that is missing may stand in another.
pub(super) struct Parse {
    pub(super) errors: Vec<Error>,
    pub(super) complete: bool,
    /// Where to point if something is missing that stands nowhere; and the folder for defaults.
    pub(super) start: Place,
}

/// Tables by name, from all files.
type Tables<T> = Vec<Entry<T>>;

impl Parse {
    /// The whole configuration. What it says is worth something only if no error was noted.
    pub(super) fn config(&mut self, mut files: Vec<File>) -> Config {
        let files = files.as_mut_slice();
        let gateway = self.only("[gateway]", files, |file| &mut file.gateway);
        let redis = self.once("[redis]", files, |file| &mut file.redis);
        let sessions = self.only("[sessions]", files, |file| &mut file.sessions);
        let admin = self.only("[admin]", files, |file| &mut file.admin);
        let registry = self.once("[registry]", files, |file| &mut file.registry);
        let plugins = self.only("[plugins]", files, |file| &mut file.plugins);
        let defaults = self.only("[defaults]", files, |file| &mut file.defaults);
        let uses = self.all("plugin", files, |file| &mut file.plugin);
        let listeners = self.all("listener", files, |file| &mut file.listener);
        let routes = self.all("route", files, |file| &mut file.route);
        let pools = self.all("pool", files, |file| &mut file.pool);

        let gateway = self.gateway(gateway);
        let redis = redis.map(|redis| self.redis(redis));
        let sessions = self.sessions(sessions, redis.is_some());
        let admin = self.admin(admin);
        let known = route::Known::of(&listeners, &pools, gateway.strictness);
        let pool_defaults = defaults.pool.unless(file::PoolDefaults::default());
        let limits = timeouts::Written::of(&pools, &pool_defaults);
        let plugins = self.plugins(plugins);
        let state = plugins.state_directory.as_ref().map(|state| &state.value);
        let listeners = self.listeners(listeners, &admin, state);
        let routes = self.routes(routes, &defaults.route.unless(file::RouteDefaults::default()), &known);
        let pools = self.pools(pools, &pool_defaults);
        self.plain_pools(&routes, &pools);
        let registry = self.registry(registry, &admin, &listeners, &pools, redis.is_some());
        self.reachable(&limits, &routes);
        let uses = self.uses(uses, &routes, &pools, redis.is_some());
        Config { gateway, redis, sessions, admin, registry, plugins, uses, listeners, routes, pools }
    }

    /// The one table of a kind that stands once in all files; an empty one if it stands in none.
    fn only<T: Default>(&mut self, name: &str, files: &mut [File], table: fn(&mut File) -> &mut Key<T>) -> T {
        self.once(name, files, table).map_or_else(T::default, |at| at.value)
    }

    /// The one table of a kind that may stand once in all files.
    fn once<T: Default>(
        &mut self,
        name: &str,
        files: &mut [File],
        table: fn(&mut File) -> &mut Key<T>,
    ) -> Option<At<T>> {
        let mut found: Option<At<T>> = None;
        for at in files.iter_mut().filter_map(|file| std::mem::take(table(file)).get()) {
            match &found {
                None => found = Some(at),
                Some(first) => {
                    self.twice(&at.place, format!("{name} is written twice"), &first.place, "join the two")
                }
            }
        }
        found
    }

    /// The named tables of a kind, from all files.
    fn all<T>(
        &mut self,
        kind: &str,
        files: &mut [File],
        table: fn(&mut File) -> &mut Key<Named<T>>,
    ) -> Tables<T> {
        let mut all: Tables<T> = Vec::new();
        let mut first: HashMap<Name, Place> = HashMap::new();
        for entry in
            files.iter_mut().filter_map(|file| std::mem::take(table(file)).get()).flat_map(|at| at.value.0)
        {
            let name = &entry.name;
            if let Some(first) = first.get(&name.value) {
                let what = format!("there is a {kind} \"{}\" already", name.value);
                self.twice(&name.place, what, first, "give one of them another name");
                continue;
            }
            first.insert(name.value.clone(), name.place.clone());
            all.push(entry);
        }
        all
    }

    /// Notes that something stands in two places.
    fn twice(&mut self, place: &Place, what: String, first: &Place, write: &str) {
        self.errors.push(Error::new(place, what).note(format!("the first is at {first}")).note(write));
    }

    fn wrong(&mut self, place: &Place, what: impl Into<String>, write: impl Into<String>) {
        self.errors.push(Error::new(place, what).note(write));
    }

    /// Notes a name that nothing has, unless it may stand in a file that could not be read.
    fn unknown(&mut self, name: &At<Name>, kind: &str, known: &BTreeSet<Name>) {
        if !self.complete {
            return;
        }
        let write = match nearest(name.as_str(), known.iter().map(Name::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                // Ten fit on a line.
                let some: Vec<_> = known.iter().take(10).map(Name::as_str).collect();
                let others =
                    if some.is_empty() { String::new() } else { format!("; there are: {}", some.join(", ")) };
                format!("add a table [{kind}.{}]{others}", name.value)
            }
        };
        self.wrong(&name.place, format!("there is no {kind} \"{}\"", name.value), write);
    }

    /// Names in a list, each once.
    fn names(&mut self, names: Vec<At<Name>>) -> Vec<At<Name>> {
        let mut once: Vec<At<Name>> = Vec::new();
        for name in names {
            if once.contains(&name) {
                self.wrong(
                    &name.place,
                    format!("\"{}\" stands here twice", name.value),
                    "leave one of them out",
                );
            } else {
                once.push(name);
            }
        }
        once
    }

    fn size(&mut self, size: Key<Size>, default: u64, bounds: (u64, &str, u64, &str)) -> Size {
        let (least, least_text, most, most_text) = bounds;
        let Some(at) = size.get() else {
            return Size::bytes(default);
        };
        if !(least..=most).contains(&at.value.get()) {
            let write = format!("write \"{least_text}\" to \"{most_text}\"");
            self.wrong(&at.place, "this size is out of range", write);
        }
        at.value
    }

    fn gateway(&mut self, gateway: file::Gateway) -> Gateway {
        let limits = gateway.limits.unless(file::Limits::default());
        let log = gateway.log.unless(file::Log::default());
        Gateway {
            workers: gateway.workers.unless(Workers::Auto),
            drain_timeout: gateway.drain_timeout.unless(Duration::from_secs(30)),
            shutdown_delay: gateway.shutdown_delay.get().map(|at| at.value),
            upgrade_timeout: gateway.upgrade_timeout.unless(Duration::from_secs(60)),
            pid_file: gateway.pid_file.get().map(|at| at.value.0),
            trusted_proxies: items(gateway.trusted_proxies.get().map(|at| at.value.items)),
            debug_headers: gateway.debug_headers.unless(false),
            zone: gateway.zone.get().map(|at| at.value.0),
            strictness: self.strictness(gateway.normalize_path, gateway.escaped_slashes, gateway.underscores),
            limits: Limits {
                max_head: self.size(limits.max_head, 64 * KIB, (KIB, "1KiB", 16 * MIB, "16MiB")),
                max_headers: number(limits.max_headers.get().map(|at| at.value.0), 100),
                head_timeout: limits.head_timeout.unless(Duration::from_secs(10)),
                idle_timeout: limits.idle_timeout.unless(Duration::from_secs(60)),
                memory: self.memory(limits.memory),
            },
            log: Log { format: log.format.unless(LogFormat::Human), level: log.level.unless(LogLevel::Info) },
        }
    }

    fn admin(&mut self, admin: file::Admin) -> Admin {
        let no_token = admin.token.is_absent();
        let default = || At::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9901)), self.start.clone());
        let address = admin.address.get().unwrap_or_else(default);
        if no_token && !address.ip().to_canonical().is_loopback() {
            let what = format!("the admin API would be open to all who reach {}", address.value);
            let write = "add `token = { env = \"NAME\" }`, or keep it at home: \"127.0.0.1:9901\"";
            self.wrong(&address.place, what, write);
        }
        Admin { address, token: admin.token.get().map(|at| at.value) }
    }

    fn plugins(&self, plugins: file::Plugins) -> Plugins {
        let folder = Path::new(self.start.file()).parent().unwrap_or(Path::new("")).join("plugins");
        let path = |at: At<Folder>| At::new(at.value.0, at.place);
        Plugins {
            directory: plugins.directory.get().map_or_else(|| At::new(folder, self.start.clone()), path),
            state_directory: plugins.state_directory.get().map(path),
            probation: plugins.probation.unless(Duration::from_secs(30)),
            replay: plugins.replay.get().map_or(64, |at| at.value.0),
        }
    }

    /// The value of a key that has no default.
    fn required<T>(&mut self, key: Key<T>, name: &At<Name>, what: &str, example: &str) -> Option<At<T>> {
        if key.is_absent() {
            self.wrong(&name.place, format!("`{what}` is missing"), format!("add `{what} = {example}`"));
        }
        key.get()
    }

    /// The uses that have a table, and those that routes and pools mention without one.
    fn uses(
        &mut self,
        tables: Tables<file::Use>,
        routes: &[Route],
        pools: &BTreeMap<Name, Pool>,
        redis: bool,
    ) -> BTreeMap<Name, Use> {
        let mut uses = BTreeMap::new();
        for Entry { name, table, .. } in tables {
            let made = self.one_use(name.clone(), table.unwrap_or_default(), redis);
            uses.insert(name.value, made);
        }
        let mentioned = routes.iter().flat_map(|route| &route.filters);
        for name in mentioned.chain(pools.values().flat_map(|pool| &pool.policy)) {
            let entry = uses.entry(name.value.clone());
            entry.or_insert_with(|| self.one_use(name.clone(), file::Use::default(), redis)).mentioned = true;
        }
        uses
    }

    fn one_use(&mut self, name: At<Name>, table: file::Use, redis: bool) -> Use {
        let file = table.file.get().map(|at| At::new(at.value.0, at.place));
        let default = || At::new(format!("{}.wasm", name.as_str().replace('-', "_")), name.place.clone());
        let limits = self.use_limits(table.limits.unless(file::UseLimits::default()));
        let granted: Vec<Grant> = items(table.grants.get().map(|at| at.value.items));
        Use {
            file: file.unwrap_or_else(default),
            mentioned: false,
            on_fault: table.on_fault.unless(OnFault::Fail),
            grants: granted.iter().copied().chain([Grant::Sessions]).collect(),
            quarantine: table.quarantine.unless(Quarantine::default()),
            limits,
            config: table.config.get().map(|at| at.value).unwrap_or_default(),
            sha256: table.sha256.get().map(|at| at.value.0),
            shared: self.shared_scope(table.shared, granted.contains(&Grant::Shared), redis),
            name,
        }
    }

    fn use_limits(&mut self, limits: file::UseLimits) -> UseLimits {
        const MEMORY: (u64, &str, u64, &str) = (64 * KIB, "64KiB", 4096 * MIB, "4GiB");
        let memory = self.size(limits.memory, 16 * MIB, MEMORY);
        let mark = limits.recycle_memory;
        if let Key::Is(at) = &mark
            && at.value > memory
        {
            let write = "write less than `memory`, or leave it out: three quarters of it";
            self.wrong(&at.place, "no instance has so much memory", write);
        }
        UseLimits {
            memory,
            deadline: limits.deadline.get().map(|at| at.value),
            start: limits.start.unless(Duration::from_millis(100)),
            instances: limits.instances.get().and_then(|at| NonZeroU32::new(at.value.0)),
            table_elements: number(limits.table_elements.get().map(|at| at.value.0), 20_000),
            import_bytes: self.size(limits.import_bytes, 2 * MIB, (4 * KIB, "4KiB", 64 * MIB, "64MiB")),
            recycle_calls: limits.recycle_calls.get().and_then(|at| NonZeroU32::new(at.value.0)),
            recycle_memory: self.size(mark, memory.get() / 4 * 3, MEMORY),
        }
    }
}

/// A list without its places.
fn items<T>(items: Option<Vec<At<T>>>) -> Vec<T> {
    items.unwrap_or_default().into_iter().map(|at| at.value).collect()
}

/// A number that the mirror has checked to be one at least, or its default.
fn number(number: Option<u32>, default: u32) -> NonZeroU32 {
    NonZeroU32::new(number.unwrap_or(default)).unwrap_or(NonZeroU32::MIN)
}
