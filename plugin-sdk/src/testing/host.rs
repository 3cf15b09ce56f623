//! The functions of the contract's imports, answered from the test's world. Signatures are those that the
//! bindings of `wit/bascule.wit` have in wasm; names and meaning are explained there.

use super::message::Fields;
use super::world::with;

/// What requests and responses have in common: reading and editing their fields.
macro_rules! header_fields {
    ($message:ident) => {
        pub(crate) fn header(name: &str) -> Option<Vec<u8>> {
            header_values(name).into_iter().next()
        }
        pub(crate) fn header_values(name: &str) -> Vec<Vec<u8>> {
            with(|world| world.$message.headers.values(name))
        }
        pub(crate) fn set_header(name: &str, value: &[u8]) -> Result<(), String> {
            Fields::check(name, value)?;
            remove_header(name)?;
            add_header(name, value)
        }
        pub(crate) fn add_header(name: &str, value: &[u8]) -> Result<(), String> {
            Fields::check(name, value)?;
            with(|world| world.$message.headers.add(name, value));
            Ok(())
        }
        pub(crate) fn remove_header(name: &str) -> Result<(), String> {
            Fields::check(name, b"")?;
            with(|world| world.$message.headers.remove(name));
            Ok(())
        }
    };
}

/// What both stores have in common. The contract gives each an error type of its own.
macro_rules! store_error {
    () => {
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum StoreError {
            Unavailable,
            #[allow(dead_code, reason = "the double of sessions takes everything")]
            Refused,
        }

        fn up() -> Result<(), StoreError> {
            if with(|world| world.store_down) { Err(StoreError::Unavailable) } else { Ok(()) }
        }
    };
}

pub(crate) mod request {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::{Fields, with};

    header_fields!(request);

    pub(crate) fn method() -> String {
        with(|world| world.request.method.clone())
    }
    pub(crate) fn scheme() -> String {
        with(|world| world.request.scheme.clone())
    }
    pub(crate) fn authority() -> Vec<u8> {
        with(|world| world.request.authority.clone().into_bytes())
    }
    pub(crate) fn path() -> Vec<u8> {
        with(|world| world.request.path.clone())
    }
    pub(crate) fn client_address() -> String {
        with(|world| world.request.client.clone())
    }
    pub(crate) fn client_certificate_subject() -> Option<String> {
        with(|world| world.request.certificate.as_ref().map(|shown| shown.subject.clone()))
    }
    pub(crate) fn client_certificate_fingerprint() -> Option<String> {
        with(|world| world.request.certificate.as_ref().map(|shown| shown.fingerprint.clone()))
    }
    pub(crate) fn client_certificate_names(kind: &str) -> Vec<String> {
        with(|world| {
            let names = world.request.certificate.iter().flat_map(|shown| &shown.names);
            names.filter(|(of, _)| of == kind).map(|(_, name)| name.clone()).collect()
        })
    }
    pub(crate) fn id() -> String {
        with(|world| world.request.id.clone())
    }
    pub(crate) fn route() -> String {
        with(|world| world.request.route.clone())
    }
    pub(crate) fn pool() -> String {
        with(|world| world.request.pool.clone())
    }
    pub(crate) fn pool_hash() -> u64 {
        let mut hasher = DefaultHasher::new();
        pool().hash(&mut hasher);
        hasher.finish()
    }
    pub(crate) fn attempt() -> u32 {
        with(|world| world.request.tried.len() as u32 + 1)
    }
    pub(crate) fn node() -> Option<String> {
        with(|world| world.request.node.clone())
    }
    pub(crate) fn cookie(name: &str) -> Option<Vec<u8>> {
        with(|world| world.request.headers.cookie(name))
    }
    pub(crate) fn set_path(path: &[u8]) -> Result<(), String> {
        if path.first() != Some(&b'/') {
            return Err("a path must start with `/`".into());
        }
        with(|world| world.request.path = path.to_vec());
        Ok(())
    }
    pub(crate) fn note() -> u64 {
        with(|world| world.request.note.get())
    }
    pub(crate) fn set_note(value: u64) {
        with(|world| world.request.note.set(value));
    }
    pub(crate) fn note_text() -> String {
        with(|world| world.request.note_text.borrow().clone())
    }
    pub(crate) fn set_note_text(value: &str) -> Result<(), String> {
        if value.len() > 1024 {
            return Err("a note has at most 1 KiB".into());
        }
        with(|world| world.request.note_text.replace(value.into()));
        Ok(())
    }
}

pub(crate) mod response {
    use super::{Fields, with};

    header_fields!(response);

    pub(crate) fn status() -> u16 {
        with(|world| world.response.status)
    }
    pub(crate) fn set_status(status: u16) -> Result<(), String> {
        if !(200..600).contains(&status) {
            return Err(format!("{status} is not a status from 200 to 599"));
        }
        with(|world| world.response.status = status);
        Ok(())
    }
}

pub(crate) mod reply {
    use super::{Fields, with};

    pub(crate) fn add_header(name: &str, value: &[u8]) -> Result<(), String> {
        Fields::check(name, value)?;
        with(|world| world.reply.headers.add(name, value));
        Ok(())
    }
    pub(crate) fn set_body(body: &[u8]) -> Result<(), String> {
        with(|world| world.reply.body = body.to_vec());
        Ok(())
    }
}

pub(crate) mod nodes {
    use super::{request, with};

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Load {
        pub(crate) node: u32,
        pub(crate) in_flight: u32,
        pub(crate) latency: u32,
        pub(crate) weight: u32,
        pub(crate) error_rate: u32,
        pub(crate) oldest: u32,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Estimate {
        pub(crate) load: Load,
        pub(crate) service: u32,
    }

    /// Pools of up to so many candidates are compared whole where the gateway does.
    const COMPARED_WHOLE: u32 = 32;

    fn compared(sample: u32) -> u32 {
        let most = if count() <= COMPARED_WHOLE { COMPARED_WHOLE } else { sample };
        with(|world| world.listed += u32::from(most as usize >= world.candidates));
        most
    }

    pub(crate) fn count() -> u32 {
        with(|world| world.candidates as u32)
    }
    pub(crate) fn load_of(node: u32) -> Option<Load> {
        with(|world| world.load(node))
    }
    pub(crate) fn weight(node: u32) -> u32 {
        load_of(node).map_or(0, |load| load.weight)
    }
    pub(crate) fn loads() -> Vec<Load> {
        with(|world| {
            world.listed += 1;
            world.loads()
        })
    }
    pub(crate) fn sample(most: u32) -> Vec<Load> {
        with(|world| world.some(most).into_iter().filter_map(|index| world.load(index)).collect())
    }
    pub(crate) fn estimates_flat(sample: u32) -> Vec<u32> {
        let most = compared(sample);
        let numbers = |Estimate { load, service }: Estimate| {
            [load.node, load.in_flight, load.latency, load.weight, load.error_rate, load.oldest, service]
        };
        with(|world| {
            world.some(most).into_iter().filter_map(|index| world.estimate(index)).flat_map(numbers).collect()
        })
    }
    pub(crate) fn soonest(sample: u32, quantile: f64, slow: f64) -> Option<u32> {
        let candidates = crate::nodes::Nodes::CURRENT.estimates(sample);
        crate::testing::soonest::soonest(&candidates, quantile, slow).map(|node| node.index())
    }
    pub(crate) fn two_random() -> Option<(Load, Load)> {
        with(|world| {
            let first = world.draw(None)?;
            let second = world.draw(Some(first.node)).unwrap_or(first);
            Some((first, second))
        })
    }
    pub(crate) fn least_loaded(most: u32) -> Option<u32> {
        let drawn = crate::nodes::Candidates::of(sample(compared(most)));
        drawn.min_by(|node| node.penalised(node.load())).map(|node| node.index())
    }
    pub(crate) fn quicker_of_two() -> Option<u32> {
        let pair = crate::nodes::Nodes::CURRENT.two_random();
        let mut drawn = pair.iter();
        let (first, second) = (drawn.next()?, drawn.next()?);
        let wait = |node: &crate::nodes::Node, other| node.penalised(node.wait(other));
        Some(if wait(&second, &first) < wait(&first, &second) { second.index() } else { first.index() })
    }
    pub(crate) fn id(node: u32) -> String {
        with(|world| world.node(node).map(|node| node.id.clone()).unwrap_or_default())
    }
    pub(crate) fn zone(node: u32) -> Option<String> {
        with(|world| world.node(node)?.zone.clone())
    }
    pub(crate) fn label(node: u32, name: &str) -> Option<String> {
        with(|world| {
            let labels = &world.node(node)?.labels;
            labels.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        })
    }
    pub(crate) fn find(id: &str) -> Option<u32> {
        let place = with(|world| world.order.iter().position(|place| world.nodes[*place].id == id))?;
        Some(place as u32)
    }
    pub(crate) fn by_hash(key: &[u8]) -> Option<u32> {
        with(|world| world.by_hash(key).first().map(|load| load.node))
    }
    pub(crate) fn by_hash_bounded(key: &[u8], percent: u32) -> Option<u32> {
        with(|world| {
            let ring = world.by_hash(key);
            let requests = 1 + ring.iter().map(|load| u64::from(load.in_flight)).sum::<u64>();
            let weights: u64 = ring.iter().map(|load| u64::from(load.weight)).sum();
            let has_room = |load: &&super::nodes::Load| {
                let bound = requests * u64::from(load.weight) * u64::from(percent);
                u64::from(load.in_flight) < bound.div_ceil(100 * weights.max(1))
            };
            ring.iter().find(has_room).or(ring.first()).map(|load| load.node)
        })
    }
    pub(crate) fn by_client(percent: u32) -> Option<u32> {
        by_value(Some(request::client_address().into_bytes()), percent)
    }
    pub(crate) fn by_path(percent: u32) -> Option<u32> {
        let path = request::path();
        by_value(path.split(|byte| *byte == b'?').next().map(<[u8]>::to_vec), percent)
    }
    pub(crate) fn by_header(name: &str, percent: u32) -> Option<u32> {
        by_value(request::header(name), percent)
    }
    pub(crate) fn by_cookie(name: &str, percent: u32) -> Option<u32> {
        by_value(request::cookie(name), percent)
    }
    fn by_value(value: Option<Vec<u8>>, percent: u32) -> Option<u32> {
        let value = value.filter(|value| !value.is_empty())?;
        if percent == 0 { by_hash(&value) } else { by_hash_bounded(&value, percent) }
    }
    pub(crate) fn keep(nodes: &[u32]) {
        with(|world| {
            let ids: Vec<_> = nodes.iter().filter_map(|node| Some(world.node(*node)?.id.clone())).collect();
            world.kept = Some(ids).filter(|ids| !ids.is_empty());
        });
    }
    pub(crate) struct ZoneWeights {
        pub(crate) here: u64,
        pub(crate) all: u64,
        pub(crate) zones: u32,
    }

    pub(crate) fn own_zone() -> Option<ZoneWeights> {
        with(|world| {
            let zone = world.zone.as_ref()?;
            let candidates: Vec<_> =
                (0..world.candidates as u32).filter_map(|node| world.node(node)).collect();
            let weight = |here: bool| {
                let counts = candidates.iter().filter(|node| !here || node.zone.as_ref() == Some(zone));
                counts.map(|node| u64::from(node.weight)).sum()
            };
            let zones: std::collections::BTreeSet<_> = candidates.iter().map(|node| &node.zone).collect();
            Some(ZoneWeights { here: weight(true), all: weight(false), zones: zones.len() as u32 })
        })
    }
    pub(crate) fn keep_zone(here: bool) {
        let is_kept = |node: &u32| {
            with(|world| {
                let zone = world.node(*node).and_then(|node| node.zone.as_ref());
                (zone.is_some() && zone == world.zone.as_ref()) == here
            })
        };
        keep(&(0..count()).filter(is_kept).collect::<Vec<_>>());
    }
    pub(crate) fn signal(node: u32, name: &str) -> Option<f64> {
        let key = format!("{} {name}", id(node));
        with(|world| world.signals.get(&key, world.now).copied())
    }
    pub(crate) fn set_signal(node: u32, name: &str, value: f64, ttl_ms: u64) {
        let key = format!("{} {name}", id(node));
        with(|world| world.signals.set(key, value, world.now, ttl_ms));
    }
}

pub(crate) mod spare {
    use super::with;

    pub(crate) fn on_request() {
        with(|world| world.spares_requests = true);
    }
    pub(crate) fn on_response() {
        with(|world| world.request.spares_response.set(true));
    }
    pub(crate) fn on_response_where_bound() {
        with(|world| world.spares_bound = true);
    }
}

pub(crate) mod outcome {
    use super::with;

    pub(crate) fn node() -> String {
        with(|world| world.outcome.node.clone())
    }
    pub(crate) fn status() -> Option<u16> {
        with(|world| world.outcome.status)
    }
    pub(crate) fn latency() -> u64 {
        with(|world| world.outcome.latency.as_micros() as u64)
    }
    pub(crate) fn error() -> Option<String> {
        with(|world| world.outcome.error.clone())
    }
}

pub(crate) mod log {
    use super::with;

    #[derive(Debug)]
    pub(crate) enum Level {
        Trace,
        Debug,
        Info,
        Warn,
        Error,
    }

    pub(crate) fn write(level: Level, message: &str) {
        let level = format!("{level:?}").to_lowercase();
        with(|world| world.log.push(format!("{level}: {message}")));
    }
}

pub(crate) mod metrics {
    use super::with;

    pub(crate) fn counter(name: &str, increment: u64) {
        with(|world| *world.counters.entry(name.into()).or_default() += increment);
    }
    pub(crate) fn gauge(name: &str, value: f64) {
        with(|world| world.gauges.insert(name.into(), value));
    }
    pub(crate) fn histogram(name: &str, value: f64) {
        if value.is_finite() {
            with(|world| world.histograms.entry(name.into()).or_default().push(value));
        }
    }
}

pub(crate) mod sessions {
    use super::{nodes, request, with};
    use crate::random;

    store_error!();

    #[derive(Debug)]
    pub(crate) struct Binding {
        pub(crate) token: String,
        pub(crate) node: String,
    }

    #[derive(Debug)]
    pub(crate) enum Place {
        Candidate(u32),
        Elsewhere(String),
    }

    pub(crate) fn bound_by_cookie(cookie: &str) -> Result<Option<Place>, StoreError> {
        let token = request::cookie(cookie).and_then(|value| String::from_utf8(value).ok());
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let Some(id) = get(&token)? else { return Ok(None) };
        let bound = nodes::find(&id).filter(|_| request::attempt() == 1);
        with(|world| world.bound = bound);
        Ok(Some(bound.map_or(Place::Elsewhere(id), Place::Candidate)))
    }

    pub(crate) fn get(token: &str) -> Result<Option<String>, StoreError> {
        up()?;
        Ok(with(|world| world.sessions.get(token, world.now).cloned()))
    }
    pub(crate) fn bind(
        old: Option<&str>,
        node: &str,
        ttl_ms: u64,
        replaces: Option<&str>,
    ) -> Result<Binding, StoreError> {
        up()?;
        with(|world| {
            let now = world.now;
            let held = old.and_then(|token| Some((token, world.sessions.get(token, now)?.clone())));
            let (token, node) = match held {
                Some((token, holder)) if replaces != Some(&holder) => (token.into(), holder),
                Some((token, _)) => (token.into(), node.into()),
                None => (format!("token-{:016x}", random::next(&mut world.random)), node.into()),
            };
            world.sessions.set(token.clone(), node.clone(), now, ttl_ms);
            Ok(Binding { token, node })
        })
    }
    pub(crate) fn forget(token: &str) -> Result<(), StoreError> {
        up()?;
        with(|world| world.sessions.remove(token));
        Ok(())
    }
}

pub(crate) mod shared {
    use std::time::Duration;

    use super::with;

    store_error!();

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        up()?;
        Ok(with(|world| world.shared.get(key, world.now).cloned()))
    }
    pub(crate) fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), StoreError> {
        up()?;
        with(|world| world.shared.set(key.into(), value.to_vec(), world.now, ttl_ms));
        Ok(())
    }
    /// Numbers are kept as decimal text, as the gateway keeps them.
    pub(crate) fn add(key: &str, delta: i64, ttl_ms: u64) -> Result<i64, StoreError> {
        up()?;
        with(|world| {
            let now = world.now;
            let Some(value) = world.shared.live_mut(key, now) else {
                world.shared.set(key.into(), delta.to_string().into_bytes(), now, ttl_ms);
                return Ok(delta);
            };
            let number: Option<i64> = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let sum = number.and_then(|number| number.checked_add(delta)).ok_or(StoreError::Refused)?;
            *value = sum.to_string().into_bytes();
            Ok(sum)
        })
    }
    pub(crate) fn delete(key: &str) -> Result<(), StoreError> {
        up()?;
        with(|world| world.shared.remove(key));
        Ok(())
    }
    /// Of an allowance all that is kept is when it will be full again, as in the gateway.
    pub(crate) fn throttle(key: &str, interval_us: u64, burst: u32, cost: u32) -> Result<u64, StoreError> {
        up()?;
        if cost > burst {
            return Err(StoreError::Refused);
        }
        let interval = Duration::from_micros(interval_us);
        with(|world| {
            let now = world.now;
            let full_at = world.allowances.get(key).map_or(now, |full_at| now.max(*full_at));
            let full_at = full_at.saturating_add(interval.saturating_mul(cost));
            let latest = now.saturating_add(interval.saturating_mul(burst));
            let missing = full_at.saturating_sub(latest).as_micros() as u64;
            if missing == 0 {
                world.allowances.insert(key.to_owned(), full_at);
            }
            Ok(missing)
        })
    }
}
