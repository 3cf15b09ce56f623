//! Routes: what they match, where they lead, and that no two are the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Parse, Tables, items, passthrough};
use crate::control::config::error::At;
use crate::control::config::file;
use crate::control::config::reading::{Entry, Key, List, OneOrMany, Texts};
use crate::control::config::resolved::{Route, Strictness};
use crate::control::config::text::{HostPattern, Method, PathPattern, RoutePath};
use crate::name::Name;

/// The names that a route may mention, whether their tables are right or not.
pub(super) struct Known {
    listeners: BTreeSet<Name>,
    pools: BTreeSet<Name>,
    strictness: Strictness,
    /// Those that pass TCP through.
    pub(super) tcp: BTreeSet<Name>,
}

impl Known {
    pub(super) fn of(
        listeners: &Tables<file::Listener>,
        pools: &Tables<file::Pool>,
        strictness: Strictness,
    ) -> Self {
        let is_tcp = |entry: &&Entry<file::Listener>| entry.table.as_ref().is_some_and(passthrough::passes);
        let tcp = listeners.iter().filter(is_tcp);
        Self {
            strictness,
            tcp: tcp.map(|entry| entry.name.value.clone()).collect(),
            listeners: listeners.iter().map(|entry| entry.name.value.clone()).collect(),
            pools: pools.iter().map(|entry| entry.name.value.clone()).collect(),
        }
    }

    /// Whether this is a listener that speaks HTTP.
    pub(super) fn speak_http(&self, name: &Name) -> bool {
        self.listeners.contains(name) && !self.tcp.contains(name)
    }

    /// The listeners that speak HTTP.
    pub(super) fn http(&self) -> impl Iterator<Item = &Name> {
        self.listeners.difference(&self.tcp)
    }
}

impl Parse {
    pub(super) fn routes(
        &mut self,
        tables: Tables<file::Route>,
        defaults: &file::RouteDefaults,
        known: &Known,
    ) -> Vec<Route> {
        // A default that is wrong is one error, not one for each route.
        for name in listed(&defaults.listeners).filter(|name| !known.listeners.contains(&name.value)) {
            self.unknown(name, "listener", &known.listeners);
        }
        if let Key::Is(pool) = &defaults.pool
            && !known.pools.contains(&pool.value)
        {
            self.unknown(pool, "pool", &known.pools);
        }
        let mut routes = Vec::new();
        let mut sound = Vec::new();
        for Entry { name, table, sound: is_sound } in tables {
            if let Some(route) = table.and_then(|table| self.route(name, table, defaults, known)) {
                routes.push(route);
                sound.push(is_sound);
            }
        }
        self.no_twins(routes.iter().zip(sound).filter_map(|(route, sound)| sound.then_some(route)), known);
        routes
    }

    fn route(
        &mut self,
        name: At<Name>,
        mut table: file::Route,
        defaults: &file::RouteDefaults,
        known: &Known,
    ) -> Option<Route> {
        for name in listed(&table.listeners).filter(|name| !known.listeners.contains(&name.value)) {
            self.unknown(name, "listener", &known.listeners);
        }
        if let Key::Is(pool) = &table.pool
            && !known.pools.contains(&pool.value)
        {
            self.unknown(pool, "pool", &known.pools);
        }
        for path in [&table.path, &table.path_exact] {
            if let Key::Is(At { value, place }) = path {
                self.plain_path(&value.0, place, known.strictness);
            }
        }
        let named = std::mem::take(&mut table.listeners).or(&defaults.listeners);
        let listeners = self.listeners_of(&name, named, known);
        let passes = self.is_passing(&name, &listeners, known);
        if passes {
            self.only_host(&table);
        }
        let no_http = file::RouteDefaults::default();
        let http = if passes { &no_http } else { defaults };
        let pool = self.required(table.pool.or(&defaults.pool), &name, "pool", "\"NAME\"");
        let path = self.path(table.path, table.path_exact);
        let filters = match table.filters.or(&http.filters) {
            Key::Is(At { value: OneOrMany(list), .. }) => self.names(list.items),
            _ => Vec::new(),
        };
        let (timeout, total_timeout) =
            self.route_timeouts(table.timeout.or(&http.timeout), table.total_timeout.or(&http.total_timeout));
        Some(Route {
            listeners,
            passes,
            host: table.host.or(&defaults.host).unless(HostPattern::Any),
            path: path?,
            methods: methods(table.methods.or(&http.methods)),
            headers: table.headers.or(&http.headers).unless(Texts(BTreeMap::new())).0,
            filters,
            pool: pool?,
            timeout,
            total_timeout,
            max_body: table.max_body.or(&http.max_body).get().map(|at| at.value),
            min_rate: Parse::min_rate(table.min_rate.or(&http.min_rate)),
            name,
        })
    }

    /// The listeners that a route names; all that speak HTTP if it names none.
    fn listeners_of(&mut self, route: &At<Name>, named: Key<List<Name>>, known: &Known) -> BTreeSet<Name> {
        let Some(list) = named.get() else {
            self.some_http(route, known);
            return known.http().cloned().collect();
        };
        if list.empty {
            let what = "this route would belong to no listener";
            self.wrong(&list.place, what, "name one, or leave `listeners` out for all");
        }
        items(Some(list.value.items)).into_iter().collect()
    }

    /// `path`, `path_exact`, or every path. None if one of them is wrong.
    fn path(&mut self, prefix: Key<RoutePath>, exact: Key<RoutePath>) -> Option<PathPattern> {
        match (prefix, exact) {
            (Key::Absent, Key::Absent) => Some(PathPattern::Prefix("/".to_owned())),
            (Key::Absent, Key::Is(exact)) => Some(PathPattern::Exact(exact.value.0)),
            (Key::Is(prefix), Key::Absent) => {
                let path = prefix.value.0;
                let bare = path.trim_end_matches('/');
                if !bare.is_empty() && bare != path {
                    let write = format!("write \"{bare}\": a prefix ends where a segment does");
                    self.wrong(&prefix.place, format!("the prefix \"{path}\" ends with a slash"), write);
                }
                Some(PathPattern::Prefix(path))
            }
            (Key::Is(_), Key::Is(exact)) => {
                let write = "leave one out: `path` for a prefix, `path_exact` for just one path";
                self.wrong(&exact.place, "this route has both `path` and `path_exact`", write);
                None
            }
            _ => None,
        }
    }

    /// Two routes that match the same requests on one listener: one of them would never be taken. One that is limited
    /// to some listeners goes before one for all, so these two are no twins.
    fn no_twins<'r>(&mut self, routes: impl Iterator<Item = &'r Route>, known: &Known) {
        let mut same: HashMap<_, Vec<&Route>> = HashMap::new();
        for route in routes {
            let limited = route.passes || route.listeners.len() < known.http().count();
            let key = (&route.host, &route.path, &route.methods, &route.headers, limited);
            let others = same.entry(key).or_default();
            if let Some(first) = others.iter().find(|other| !other.listeners.is_disjoint(&route.listeners)) {
                let what = format!("this route matches just what \"{}\" matches", first.name.value);
                let write = "change its host, path, methods or headers, or leave one out";
                self.twice(&route.name.place, what, &first.name.place, write);
            }
            others.push(route);
        }
    }
}

fn listed(names: &Key<List<Name>>) -> impl Iterator<Item = &At<Name>> {
    let list = if let Key::Is(list) = names { Some(&list.items) } else { None };
    list.into_iter().flatten()
}

fn methods(list: Key<List<Method>>) -> BTreeSet<Method> {
    items(list.get().map(|at| at.value.items)).into_iter().collect()
}
