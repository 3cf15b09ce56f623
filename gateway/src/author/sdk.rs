//! The SDK as this program was built with, so that a new plugin has one wherever it is made.
//!
//! The SDK is in no registry, and its manifest leans on this repository's workspace: [`files`] gives it as a crate that
//! stands alone.

use toml::{Table, Value};

/// The sources and the contract, by their paths in the crate.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));
const MANIFEST: &str = include_str!("../../../plugin-sdk/Cargo.toml");
const WORKSPACE: &str = include_str!("../../../Cargo.toml");
const LICENCE: &str = include_str!("../../../LICENSE");

/// Every file of the SDK's crate, by its path there.
pub(super) fn files() -> impl Iterator<Item = (&'static str, String)> {
    let sources = FILES.iter().map(|(path, text)| (*path, (*text).to_owned()));
    let rest = [("Cargo.toml", manifest()), ("LICENSE", LICENCE.to_owned())];
    sources.chain(rest)
}

/// The SDK's manifest with the workspace's values in place of `workspace = true`.
fn manifest() -> String {
    let read = |text: &str| text.parse::<Table>().expect("cargo has read this file");
    let (mut manifest, workspace) = (read(MANIFEST), read(WORKSPACE));
    let of = |path: [&str; 2]| workspace.get(path[0])?.get(path[1])?.as_table();
    // Which lints hold is for this repository to say.
    manifest.remove("lints");
    for (name, given) in
        [("package", of(["workspace", "package"])), ("dependencies", of(["workspace", "dependencies"]))]
    {
        let Some(table) = manifest.get_mut(name).and_then(Value::as_table_mut) else { continue };
        for (key, value) in table.iter_mut().filter(|(_, value)| value.get("workspace").is_some()) {
            if let Some(given) = given.and_then(|given| given.get(key)) {
                *value = given.clone();
            }
        }
    }
    let comment =
        "# A copy of Bascule's SDK, so that the plugin beside it builds wherever it lies. Not for changes.";
    // A reader expects the package first; a table sorts its keys.
    let package =
        manifest.remove("package").map(|package| Table::from_iter([("package".to_owned(), package)]));
    let written = |table: &Table| toml::to_string(table).expect("a manifest can be written as it was read");
    format!("{comment}\n\n{}\n{}", written(&package.unwrap_or_default()), written(&manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_sdk_is_there_and_nothing_leans_on_the_workspace() {
        let names: Vec<_> = files().map(|(name, _)| name).collect();
        for needed in ["src/lib.rs", "src/testing/host.rs", "wit/bascule.wit", "Cargo.toml", "LICENSE"] {
            assert!(names.contains(&needed), "{needed} is not in {names:?}");
        }
        let manifest = manifest();
        assert!(!manifest.contains("workspace = true") && !manifest.contains("lints"), "{manifest}");
        assert!(manifest.contains("[dependencies.serde]") && manifest.contains("wit-bindgen"), "{manifest}");
    }
}
