//! Which node a client belongs to.

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
