//! The candidates of a pick: their loads, picks that the gateway makes itself, and signals.

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
        let has_room = |load: &&Load| {
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
        let candidates: Vec<_> = (0..world.candidates as u32).filter_map(|node| world.node(node)).collect();
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
