//! What a plugin that was built for one contract would miss in another.

use std::collections::BTreeMap;
use wit_parser::{Resolve, Type, TypeDefKind};

/// A contract's interfaces, each with its functions and types as text.
pub struct Contract(BTreeMap<String, Interface>);

#[derive(Default)]
struct Interface {
    functions: BTreeMap<String, String>,
    types: BTreeMap<String, String>,
}

impl Contract {
    /// Reads a contract that is written as WIT.
    pub fn read(text: &str) -> Contract {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("bascule.wit", text).expect("the contract is valid WIT");
        let interfaces = resolve.packages[package].interfaces.iter().map(|(name, id)| {
            let interface = &resolve.interfaces[*id];
            let functions = interface.functions.iter().map(|(name, function)| {
                let parameters: Vec<_> =
                    function.params.iter().map(|one| written(&resolve, &one.ty)).collect();
                let result =
                    function.result.map(|ty| format!(" -> {}", written(&resolve, &ty))).unwrap_or_default();
                (name.clone(), format!("func({}){result}", parameters.join(", ")))
            });
            let types = interface.types.iter();
            let types = types.map(|(name, id)| (name.clone(), defined(&resolve, &resolve.types[*id].kind)));
            (name.clone(), Interface { functions: functions.collect(), types: types.collect() })
        });
        Contract(interfaces.collect())
    }
}

/// A type where it is used: by its name, if it has one.
fn written(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Id(id) => {
            let definition = &resolve.types[*id];
            definition.name.clone().unwrap_or_else(|| defined(resolve, &definition.kind))
        }
        plain => format!("{plain:?}").to_lowercase(),
    }
}

/// A type where it is defined.
fn defined(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let of = |ty: &Type| written(resolve, ty);
    let or_none = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), of);
    let listed = |word: &str, parts: Vec<String>| format!("{word} {{ {} }}", parts.join(", "));
    match kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| format!("{}: {}", field.name, of(&field.ty)));
            listed("record", fields.collect())
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, of(ty)),
                None => case.name.clone(),
            });
            listed("variant", cases.collect())
        }
        TypeDefKind::Enum(cases) => {
            listed("enum", cases.cases.iter().map(|case| case.name.clone()).collect())
        }
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", or_none(&result.ok), or_none(&result.err)),
        TypeDefKind::Type(ty) => of(ty),
        other => panic!("the contract has a {}: say here how it is written", other.as_str()),
    }
}

/// What of `old` is missing or different in `new`, a sentence each. What `new` adds is no matter.
pub fn broken(old: &Contract, new: &Contract) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, old) in &old.0 {
        let Some(new) = new.0.get(name) else {
            broken.push(format!("{name}: the interface is gone"));
            continue;
        };
        for (what, old, new) in
            [("the function ", &old.functions, &new.functions), ("", &old.types, &new.types)]
        {
            for (item, was) in old {
                match new.get(item) {
                    Some(is) if is == was => {}
                    Some(is) => broken.push(format!("{name}: {what}`{item}` was `{was}` and is `{is}`")),
                    None => broken.push(format!("{name}: {what}`{item}` is gone")),
                }
            }
        }
    }
    broken
}
