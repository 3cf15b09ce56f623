//! Tiny plugins for tests and benches: a core module as text, dressed with the contract's types as the SDK does it.
//!
//! So a test holds every instruction of its plugin in sight, and can do what no compiler would emit.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract as it is.
pub(crate) const CONTRACT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk/wit/bascule.wit"));

/// The file of a plugin that plays these roles. Its functions are exported as "ROLE#NAME" and imported from
/// "INTERFACE"; memory, a `realloc` that hands out fresh memory, and `$answer`, which writes a variant's case and
/// payload to 1024 and returns that, are there already.
pub(crate) fn plugin(roles: &[&str], body: &str) -> Vec<u8> {
    plugin_for(CONTRACT, roles, body)
}

/// The same for a contract with this text.
pub(crate) fn plugin_for(contract: &str, roles: &[&str], body: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("bascule.wit", contract).expect("the contract is valid WIT");
    let roles: Vec<String> =
        roles.iter().map(|role| format!("include bascule:plugin/{role}-plugin@0.1.0;")).collect();
    let world = format!("package test:test; world plugin {{ {} }}", roles.join(" "));
    let package = resolve.push_str("test.wit", &world).expect("the roles are the contract's");
    let world = resolve.select_world(&[package], Some("plugin")).expect("it was defined just now");
    let mut module = wat::parse_str(core(body)).expect("the test's text is a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world is encodable");
    module
}

fn core(body: &str) -> String {
    let mut body = body.to_owned();
    for role in ["lifecycle", "router", "balancer", "filter", "observer", "timer"] {
        body = body.replace(&format!("\"{role}#"), &format!("\"bascule:plugin/{role}@0.1.0#"));
    }
    for interface in
        ["request", "response", "reply", "nodes", "outcome", "log", "metrics", "sessions", "shared", "spare"]
    {
        let whole = format!("import \"bascule:plugin/{interface}@0.1.0\"");
        body = body.replace(&format!("import \"{interface}\""), &whole);
    }
    let (imports, rest) = body.split_once(";; ---").unwrap_or(("", &body));
    format!(
        r#"(module {imports}
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                ;; The WASI adapter asks for pages of its own.
                (if (i32.ge_u (local.get 3) (i32.const 65536))
                    (then (return (i32.mul (memory.grow (i32.const 2)) (i32.const 65536)))))
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (if (i32.gt_u (local.get $at) (i32.const 120000)) (then (local.set $at (i32.const 65536))))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func $answer (param $case i32) (param $payload i32) (result i32)
                (i32.store8 (i32.const 1024) (local.get $case))
                (i32.store (i32.const 1028) (local.get $payload))
                (i32.const 1024))
            ;; A verdict's payload is narrower, so it stands closer.
            (func $verdict (param $case i32) (param $status i32) (result i32)
                (i32.store8 (i32.const 1024) (local.get $case))
                (i32.store16 (i32.const 1026) (local.get $status))
                (i32.const 1024))
            {rest})"#
    )
}
