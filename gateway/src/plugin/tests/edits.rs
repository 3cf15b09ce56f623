//! What a plugin may read and edit, and when.

use super::*;

/// Filters that try to set a field, the first in on-request and the second in on-response, and note 1 if it was refused.
fn setters(grants: &[&str], interface: &str, name: &str, value: &str) -> (Instances, Instances) {
    let make = |play: &str, other: &str| {
        let body = format!(
            r#"
            (import "{interface}" "set-header" (func $set (param i32 i32 i32 i32 i32)))
            (import "request" "set-note" (func $note (param i64)))
            ;; ---
            (data (i32.const 16) "{name}")
            (data (i32.const 256) "{value}")
            (func (export "filter#{play}") (result i32)
                (call $set (i32.const 16) (i32.const {}) (i32.const 256) (i32.const {}) (i32.const 128))
                (call $note (i64.load8_u (i32.const 128)))
                (call $verdict (i32.const 0) (i32.const 0)))
            (func (export "filter#{other}") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#,
            name.len(),
            // An escape such as \0a stands for one byte.
            value.len() - 2 * value.matches('\\').count(),
        );
        granted(grants, &["filter"], &body)
    };
    (make("on-request", "on-response"), make("on-response", "on-request"))
}

fn refused_in_request(grants: &[&str], name: &str, value: &str) -> bool {
    let (instances, _) = setters(grants, "request", name, value);
    let mut context = context();
    instances.on_request(&mut context).now().unwrap();
    let refused = note(&context) == 1;
    let is_set = context.unwrap().request.fields.get_all(name).any(|set| set == value.as_bytes());
    assert_ne!(refused, is_set, "{name}: {value}");
    refused
}

#[test]
fn fields_that_frame_messages_or_split_them_are_refused() {
    assert!(!refused_in_request(&[], "x-edge", "value"));
    assert!(!refused_in_request(&[], "Authorization", "Bearer x"), "writing is not reading");
    for name in [
        "content-length",
        "Transfer-Encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "te",
        "trailer",
        "x edge",
        "x:edge",
        "",
    ] {
        assert!(refused_in_request(&[], name, "1"), "{name}");
    }
    for value in [r"a\0d\0ab", r"\00", r"\7f"] {
        assert!(refused_in_request(&[], "x-edge", value), "{value}");
    }
    assert!(refused_in_request(&[], "host", "other"));
    assert!(!refused_in_request(&["host"], "host", "other"));
}

#[test]
fn a_request_is_edited_in_on_request_only_and_a_response_in_on_response_only() {
    for (interface, in_request, in_response) in [("request", 0, 1), ("response", 1, 0)] {
        let (first, second) = setters(&[], interface, "x-edge", "1");
        let mut seen = context();
        first.on_request(&mut seen).now().unwrap();
        assert_eq!(note(&seen), in_request, "{interface}");
        let mut seen = context();
        second.on_response(&mut seen).now().unwrap();
        assert_eq!(note(&seen), in_response, "{interface}");
    }
}

#[test]
fn a_call_adds_values_of_at_most_16_kib_and_64_kib_in_all() {
    let instances = instances(
        &["filter"],
        r#"
        (import "request" "add-header" (func $add (param i32 i32 i32 i32 i32)))
        ;; ---
        (data (i32.const 16) "x-many")
        (func (export "filter#on-request") (result i32)
            (local $edit i32)
            (memory.fill (i32.const 2048) (i32.const 97) (i32.const 16385))
            (call $add (i32.const 16) (i32.const 6) (i32.const 2048) (i32.const 16385) (i32.const 128))
            (loop
                (call $add (i32.const 16) (i32.const 6) (i32.const 2048) (i32.const 16384) (i32.const 128))
                (local.set $edit (i32.add (local.get $edit) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $edit) (i32.const 70))))
            (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#,
    );
    let mut context = context();
    instances.on_request(&mut context).now().unwrap();
    let context = context.unwrap();
    let lengths: Vec<usize> = context.request.fields.get_all("x-many").map(<[u8]>::len).collect();
    assert_eq!(lengths, [16384; 3], "four with their names are more than 64 KiB");
}

#[test]
fn a_call_makes_at_most_64_edits_and_a_head_has_at_most_512_fields() {
    let instances = instances(
        &["filter"],
        r#"
        (import "request" "add-header" (func $add (param i32 i32 i32 i32 i32)))
        ;; ---
        (data (i32.const 16) "x-many")
        (func (export "filter#on-request") (result i32)
            (local $edit i32)
            (loop
                (call $add (i32.const 16) (i32.const 6) (i32.const 16) (i32.const 1) (i32.const 128))
                (local.set $edit (i32.add (local.get $edit) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $edit) (i32.const 70))))
            (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#,
    );
    let mut context = context();
    instances.on_request(&mut context).now().unwrap();
    let added =
        |context: &Option<Box<Context>>| context.as_ref().unwrap().request.fields.get_all("x-many").count();
    assert_eq!(added(&context), 64);
    for _ in 0..8 {
        instances.on_request(&mut context).now().unwrap();
    }
    assert_eq!(context.as_ref().unwrap().request.fields.len(), 512);
}

#[test]
fn with_the_grant_a_filter_sets_the_one_host_and_nothing_that_is_none() {
    for value in ["a b", "a/b", "user@a", "", "a:99999"] {
        assert!(refused_in_request(&["host"], "host", value), "{value}");
    }
    let (instances, _) = setters(&["host"], "request", "Host", "other.test:8080");
    let mut context = context();
    let request = &mut context.as_mut().unwrap().request;
    request.target_authority = Some(request.fields.store(b"asked.test"));
    instances.on_request(&mut context).now().unwrap();
    let request = &context.as_ref().unwrap().request;
    assert_eq!(request.authority(), b"other.test:8080", "it stands above an absolute target too");
    assert_eq!(request.fields.get_all("host").count(), 1);
}

/// A policy that notes the length of a header field's value, or 999 if there is none.
fn reader(grants: &[&str], import: &str, name: &str) -> u64 {
    let body = format!(
        r#"
        (import "request" "{import}" (func $read (param i32 i32 i32)))
        (import "request" "set-note" (func $note (param i64)))
        ;; ---
        (data (i32.const 16) "{name}")
        (func (export "balancer#pick") (result i32)
            (call $read (i32.const 16) (i32.const {}) (i32.const 128))
            (call $note (if (result i64) (i32.load8_u (i32.const 128))
                (then (i64.load32_u (i32.const 136)))
                (else (i64.const 999))))
            (call $answer (i32.const 0) (i32.const 0)))"#,
        name.len()
    );
    let instances = granted(grants, &["balancer"], &body);
    let mut context = context();
    let fields = &mut context.as_mut().unwrap().request.fields;
    fields.add(b"Authorization", b"Bearer secret");
    fields.add(b"X-User", b"somebody");
    instances.pick(&mut context).now().unwrap();
    note(&context)
}

#[test]
fn fields_and_cookies_are_read_in_any_case() {
    assert_eq!(reader(&[], "header", "x-user"), 8);
    assert_eq!(reader(&[], "header", "HOST"), 13);
    assert_eq!(reader(&[], "header", "x-none"), 999);
    assert_eq!(reader(&[], "cookie", "trial"), 1);
    assert_eq!(reader(&[], "cookie", "none"), 999);
}

#[test]
fn credentials_are_read_with_the_grant_only() {
    assert_eq!(reader(&[], "header", "authorization"), 999);
    assert_eq!(reader(&["credentials"], "header", "authorization"), 13);
    assert_eq!(reader(&[], "header-values", "Authorization"), 999, "no values at all");
}

#[test]
fn a_note_lives_as_long_as_the_request_and_is_the_uses_own() {
    let body = r#"
        (import "request" "note" (func $note (result i64)))
        (import "request" "set-note" (func $set (param i64)))
        ;; ---
        (func (export "filter#on-request") (result i32)
            (call $set (i64.add (call $note) (i64.const 1)))
            (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32)
            (call $set (i64.mul (call $note) (i64.const 10)))
            (call $verdict (i32.const 0) (i32.const 0)))"#;
    let first = instances(&["filter"], body);
    let owner = first.use_();
    let other = Use::new(
        2,
        2,
        spec(&[]),
        Arc::clone(&owner.module),
        Arc::clone(&owner.stats),
        Arc::clone(&owner.services),
    );
    let other = Instances::new(Arc::new(other.unwrap()));
    let mut context = context();
    first.on_request(&mut context).now().unwrap();
    first.on_request(&mut context).now().unwrap();
    other.on_request(&mut context).now().unwrap();
    first.on_response(&mut context).now().unwrap();
    let notes: Vec<(u32, u64)> =
        context.as_ref().unwrap().notes.iter().map(|note| (note.key, note.number)).collect();
    assert_eq!(notes, [(1, 20), (2, 1)]);
}
