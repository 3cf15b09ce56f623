//! What a plugin asks of the request, and does to it.

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
