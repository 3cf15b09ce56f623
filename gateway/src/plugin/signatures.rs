//! Whether a plugin's functions have the contract's types: asked when it is loaded.
//!
//! wasmtime compares them when a started instance's functions are typed, which is late, and its words are about
//! variants and cases. Here a function is written as the contract writes it, and the words say what to do.

use std::fmt::Write as _;

use wasmtime::component::types::{ComponentItem, Type};

use super::fault::LoadError;
use super::module::Role;

/// The type of a role's function in the contract, without the names of types and parameters.
fn contract(role: Role, function: &str) -> &'static str {
    match (role, function) {
        (Role::Lifecycle, _) => "func(string) -> result<_, string>",
        (Role::Router, _) => {
            "func() -> variant { go-on, pool(string), answer(u16), redirect(record { status: u16, location: string }) }"
        }
        (Role::Balancer, _) => "func() -> variant { abstain, node(u32), reject(u16) }",
        (Role::Filter, _) => "func() -> variant { go-on, answer(u16), done }",
        (Role::Timer, "period") => {
            "func() -> record { period-ms: u64, scope: enum { every-worker, one-worker } }"
        }
        (Role::Observer | Role::Timer, _) => "func()",
    }
}

/// Refuses what a plugin exports as a role's function if its type is not the contract's.
pub(super) fn check(role: Role, function: &str, item: &ComponentItem) -> Result<(), LoadError> {
    let (found, wanted) = (signature(item), contract(role, function));
    if found == wanted {
        return Ok(());
    }
    let role = role.name();
    Err(LoadError::Refused(format!(
        "it was built for a draft of the contract: its {role} has {function} as {found}, and this gateway calls {wanted}; build it again \
         with the SDK of this version"
    )))
}

fn signature(item: &ComponentItem) -> String {
    let ComponentItem::ComponentFunc(function) = item else {
        return "something else than a function".to_owned();
    };
    let parameters: Vec<_> = function.params().map(|(_, ty)| written(&ty)).collect();
    let mut text = format!("func({})", parameters.join(", "));
    for result in function.results() {
        // Writing to a String cannot fail.
        let _ = write!(text, " -> {}", written(&result));
    }
    text
}

/// A type in the contract's language; what the contract has no use for at this place only has to be something else.
fn written(ty: &Type) -> String {
    let list = |word: &str, parts: Vec<String>| format!("{word} {{ {} }}", parts.join(", "));
    let or_none = |ty: Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| written(&ty));
    match ty {
        Type::String => "string".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::Option(option) => format!("option<{}>", written(&option.ty())),
        Type::List(of) => format!("list<{}>", written(&of.ty())),
        Type::Result(result) => format!("result<{}, {}>", or_none(result.ok()), or_none(result.err())),
        Type::Enum(names) => list("enum", names.names().map(str::to_owned).collect()),
        Type::Record(record) => {
            let field = |name: &str, ty: &Type| format!("{name}: {}", written(ty));
            list("record", record.fields().map(|of| field(of.name, &of.ty)).collect())
        }
        Type::Variant(variant) => {
            let case = |name: &str, ty: &Option<Type>| match ty {
                Some(ty) => format!("{name}({})", written(ty)),
                None => name.to_owned(),
            };
            list("variant", variant.cases().map(|of| case(of.name, &of.ty)).collect())
        }
        _ => "another type".to_owned(),
    }
}
