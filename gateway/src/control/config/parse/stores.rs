//! Where sessions and shared values are kept, and whether all that needs a Redis has one.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Parse;
use crate::control::config::error::{At, Place};
use crate::control::config::file;
use crate::control::config::reading::{Key, List};
use crate::control::config::resolved::{ClientTls, FailMode, Redis, RedisMode, Sessions, SharedScope, Store};
use crate::control::config::secret::Secret;
use crate::control::config::text::RedisUrl;
use crate::control::config::value::{RedisModeWord, StoreWord};

/// Bytes of a key that signs. HMAC-SHA256 gains nothing by more, and is weaker with less (RFC 2104, 3).
const SHORTEST_KEY: usize = 32;
/// Chosen: a binding that another gateway changed is noticed within a second, and a busy session costs Redis one question a second.
const NEAR_CACHE: Duration = Duration::from_secs(1);
/// Chosen: far above what a Redis nearby takes, and little beside what a request takes.
const TIMEOUT: Duration = Duration::from_millis(20);
const CAPACITY: u32 = 1_000_000;
/// What to write for a Redis.
pub(super) const ADD_REDIS: &str = "add a table [redis] with `servers = [\"redis://127.0.0.1:6379\"]`";

impl Parse {
    /// `[sessions]`. `redis` is whether there is a table `[redis]`.
    pub(super) fn sessions(&mut self, sessions: file::Sessions, redis: bool) -> Sessions {
        let file::Sessions { store, capacity, fail_mode, near_cache, keys } = sessions;
        let word = store.clone().unless(StoreWord::Memory);
        if word != StoreWord::Redis {
            let write = "write `store = \"redis\"`, or leave this out";
            self.of_no_use(&fail_mode, "no other store can be out of reach", write);
            self.of_no_use(&near_cache, "no other store is far away", write);
        }
        if word != StoreWord::Cookie {
            self.of_no_use(&keys, "nothing is signed", "write `store = \"cookie\"`, or leave this out");
        }
        let kept = match (word, store) {
            (StoreWord::Memory, _) => Store::Memory,
            (StoreWord::Redis, store) => {
                if let Some(at) = store.get().filter(|_| !redis && self.complete) {
                    self.wrong(&at.place, "there is no Redis to keep sessions in", ADD_REDIS);
                }
                let fail_mode = fail_mode.unless(FailMode::Move);
                Store::Redis { near_cache: near_cache.unless(NEAR_CACHE), fail_mode }
            }
            (StoreWord::Cookie, store) => {
                self.of_no_use(&capacity, "clients keep their sessions themselves", "leave this out");
                let place = store.get().map_or_else(|| self.start.clone(), |at| at.place);
                Store::Cookie { keys: self.signing_keys(keys, &place) }
            }
        };
        let capacity = capacity.get().map_or(CAPACITY, |at| at.value.0);
        Sessions { store: kept, capacity: NonZeroU64::new(capacity.into()).unwrap_or(NonZeroU64::MIN) }
    }

    fn signing_keys(&mut self, keys: Key<List<Secret>>, store: &Place) -> Vec<Secret> {
        let add = "add `keys = [{ env = \"COOKIE_KEY\" }]`; `openssl rand -base64 32` makes one";
        match &keys {
            Key::Absent => self.wrong(store, "cookies have to be signed, and there is no key", add),
            Key::Is(at) if at.value.empty => self.wrong(&at.place, "there is no key in this list", add),
            _ => {}
        }
        let keys = keys.get().map(|at| at.value.items).unwrap_or_default();
        for key in &keys {
            if key.value.reveal().len() < SHORTEST_KEY {
                let write = "take 32 bytes or more; `openssl rand -base64 32` makes a good one";
                self.wrong(&key.place, "this key is so short that it could be guessed", write);
            }
        }
        keys.into_iter().map(|at| at.value).collect()
    }

    /// `[redis]`.
    pub(super) fn redis(&mut self, redis: At<file::Redis>) -> Redis {
        let At { value: table, place } = redis;
        let urls = self.redis_servers(table.servers, &place);
        let mode = self.redis_mode(table.mode, table.master, &urls, &place);
        if let (Key::Is(at), Key::Absent) = (&table.user, &table.password) {
            self.wrong(&at.place, "this user has no password", "add `password = { env = \"NAME\" }`");
        }
        Redis {
            mode,
            tls: self.redis_tls(table.tls, &urls),
            servers: urls.into_iter().map(|url| url.value.address).collect(),
            user: table.user.get().map(|at| at.value.0),
            password: table.password.get().map(|at| at.value),
            prefix: table.prefix.get().map_or_else(|| "bascule:".to_owned(), |at| at.value.0),
            timeout: table.timeout.unless(TIMEOUT),
        }
    }

    fn redis_servers(&mut self, servers: Key<List<RedisUrl>>, table: &Place) -> Vec<At<RedisUrl>> {
        let add = "add `servers = [\"redis://127.0.0.1:6379\"]`";
        match &servers {
            Key::Absent => self.wrong(table, "`servers` is missing", add),
            Key::Is(at) if at.value.empty => self.wrong(&at.place, "there is no server in this list", add),
            _ => {}
        }
        let urls = servers.get().map(|at| at.value.items).unwrap_or_default();
        for (index, url) in urls.iter().enumerate() {
            if let Some(first) = urls[..index].iter().find(|first| first.value.address == url.value.address) {
                self.twice(
                    &url.place,
                    "this server stands here twice".into(),
                    &first.place,
                    "leave one of them out",
                );
            } else if url.value.tls != urls[0].value.tls {
                let write = "write redis:// for all of them, or rediss://";
                self.wrong(&url.place, "some servers are met under TLS and others are not", write);
            }
        }
        urls
    }

    fn redis_mode(
        &mut self,
        mode: Key<RedisModeWord>,
        master: Key<crate::control::config::text::Word>,
        urls: &[At<RedisUrl>],
        table: &Place,
    ) -> RedisMode {
        let place = if let Key::Is(at) = &mode { at.place.clone() } else { table.clone() };
        let mode = mode.unless(RedisModeWord::Standalone);
        if mode != RedisModeWord::Sentinel {
            let write = "write `mode = \"sentinel\"`, or leave this out";
            self.of_no_use(&master, "only Sentinels know masters by name", write);
        }
        match mode {
            RedisModeWord::Cluster => RedisMode::Cluster,
            RedisModeWord::Standalone => {
                if let [_, second, ..] = urls {
                    let write = "keep one, or write `mode = \"sentinel\"` or `mode = \"cluster\"`";
                    self.wrong(&second.place, "a Redis that stands alone is one server", write);
                }
                RedisMode::Standalone
            }
            RedisModeWord::Sentinel => {
                if master.is_absent() {
                    let write = "add `master = \"mymaster\"`, by the name that the Sentinels know it by";
                    self.wrong(&place, "Sentinels have to be asked for a master", write);
                }
                RedisMode::Sentinel(master.get().map(|at| at.value.0).unwrap_or_default())
            }
        }
    }

    fn redis_tls(&mut self, tls: Key<file::ClientTls>, urls: &[At<RedisUrl>]) -> Option<ClientTls> {
        let wanted = urls.iter().any(|url| url.value.tls);
        if !wanted && !urls.is_empty() {
            self.of_no_use(
                &tls,
                "no server is met under TLS",
                "write rediss:// in `servers`, or leave this out",
            );
        }
        let tls = self.client_tls(tls);
        wanted.then(|| tls.unwrap_or_default())
    }

    /// Who sees a use's shared values. `granted` is whether it may have any.
    pub(super) fn shared_scope(
        &mut self,
        scope: Key<SharedScope>,
        granted: bool,
        redis: bool,
    ) -> SharedScope {
        let Some(At { value: scope, place }) = scope.get() else { return SharedScope::Gateway };
        if !granted {
            let write = "add `grants = [\"shared\"]`, or leave this out";
            self.wrong(&place, "this plugin may not have shared values", write);
        }
        if scope == SharedScope::Cluster && !redis && self.complete {
            self.wrong(&place, "there is no Redis that gateways could share values in", ADD_REDIS);
        }
        scope
    }

    /// Notes a key that is written and has no effect.
    pub(super) fn of_no_use<T>(&mut self, key: &Key<T>, what: &str, write: &str) {
        if let Key::Is(at) = key {
            self.wrong(&at.place, format!("this has no effect: {what}"), write);
        }
    }
}
