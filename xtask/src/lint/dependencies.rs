//! The dependencies of the lock file against deny.toml: licences, sources, versions that stand twice, yanked versions,
//! and advisories where their database can be reached.
//!
//! deny.toml is written as cargo-deny reads it, so that tool may be run on it as well. The check here is small and needs
//! no network, so that everybody, and CI, runs the same one. What it skips, it says.

use super::{licence, yanked};
use crate::tools::{self, Package};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::process::{Command, Stdio};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What we read of deny.toml; cargo-deny knows more keys.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may stand beside another of the same crate.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    spec: String,
}

/// Checks all that can be checked here.
///
/// # Errors
/// When something is not allowed: everything that is wrong, one line each.
pub(crate) fn check() -> Result<()> {
    let text = std::fs::read_to_string(tools::root().join("deny.toml")).context("cannot read deny.toml")?;
    let rules: Rules = toml::from_str(&text).context("deny.toml")?;
    let packages = in_use()?;
    let foreign: Vec<&Package> = packages.iter().filter(|package| package.source.is_some()).collect();

    let mut wrong = licences(&rules.licenses.allow, &packages);
    wrong.extend(sources(&foreign));
    wrong.extend(duplicates(&rules.bans.skip, &foreign));
    match yanked::among(&foreign)? {
        Some(found) => {
            wrong.extend(found.iter().map(|spec| format!("{spec} was yanked: run `cargo update {spec}`")))
        }
        None => println!(
            "yanked versions: skipped, for cargo keeps no copy of the index here that this check can read"
        ),
    }
    println!("licences, sources, duplicates: {} packages checked against deny.toml", packages.len());
    advisories()?;
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// The packages that the lock file names for this machine's target and for plugins.
fn in_use() -> Result<Vec<Package>> {
    let rustc = tools::output(Command::new("rustc").current_dir(tools::root()).arg("-vV"))?;
    let host =
        rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    let metadata =
        tools::metadata(&["--locked", "--filter-platform", host, "--filter-platform", "wasm32-wasip1"])
            .context(
                "Cargo.lock does not fit the Cargo.toml files: run `cargo check` and commit Cargo.lock",
            )?;
    let resolve = metadata.resolve.context("`cargo metadata` resolved nothing")?;
    let used: HashSet<String> = resolve.nodes.into_iter().map(|node| node.id).collect();
    Ok(metadata.packages.into_iter().filter(|package| used.contains(&package.id)).collect())
}

fn licences(allowed: &[String], packages: &[Package]) -> Vec<String> {
    let refusal = |package: &Package| {
        let Some(expression) = &package.license else {
            return Some("names no licence in its Cargo.toml".to_owned());
        };
        match licence::allows(allowed, expression) {
            Ok(true) => None,
            Ok(false) => Some(format!("is licensed \"{expression}\", which deny.toml does not allow")),
            Err(error) => Some(error.to_string()),
        }
    };
    packages
        .iter()
        .filter_map(|package| Some(format!("{} {}: {}", package.name, package.version, refusal(package)?)))
        .collect()
}

fn sources(foreign: &[&Package]) -> Vec<String> {
    foreign
        .iter()
        .filter(|package| package.source.as_deref() != Some(CRATES_IO))
        .map(|package| format!("{} {} does not come from crates.io", package.name, package.version))
        .collect()
}

/// Crates of which more than one version is left when the allowed ones are taken out, and allowances that nothing needs.
fn duplicates(skip: &[Skip], foreign: &[&Package]) -> Vec<String> {
    let mut unused: HashSet<&str> = skip.iter().map(|skip| skip.spec.as_str()).collect();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in foreign {
        let skipped = skip.iter().find(|skip| {
            let (name, version) = skip.spec.split_once('@').unwrap_or((&skip.spec, ""));
            name == package.name && package.version.starts_with(version)
        });
        match skipped {
            Some(skip) => _ = unused.remove(skip.spec.as_str()),
            None => versions.entry(&package.name).or_default().push(&package.version),
        }
    }
    let twice = versions.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(name, versions)| {
        format!(
            "{name} stands {} times ({}): join them, or give the reason in deny.toml's skip list",
            versions.len(),
            versions.join(", ")
        )
    });
    let unused = unused
        .into_iter()
        .map(|spec| format!("deny.toml skips {spec}, which is not in use: take the line out"));
    twice.chain(unused).collect()
}

/// Advisories need cargo-deny and a git database; a network that has the crate registry only does not give it.
fn advisories() -> Result<()> {
    if tools::find("cargo-deny").is_none() {
        println!(
            "advisories: SKIPPED, for cargo-deny is not installed (`cargo install --locked cargo-deny`)"
        );
        return Ok(());
    }
    let fetched =
        tools::cargo().args(["deny", "fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !fetched.success() {
        println!(
            "advisories: SKIPPED, for the advisory database (a git repository) cannot be reached from here"
        );
        return Ok(());
    }
    tools::run(tools::cargo().args(["deny", "check", "--disable-fetch", "advisories"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, license: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            id: format!("{name}@{version}"),
            source: Some(CRATES_IO.to_owned()),
            license: license.map(str::to_owned),
            manifest_path: "Cargo.toml".into(),
        }
    }

    fn skip(spec: &str) -> Skip {
        Skip { spec: spec.to_owned() }
    }

    #[test]
    fn a_package_without_an_allowed_licence_is_named() {
        let packages = [
            package("good", "1.0.0", Some("MIT")),
            package("bad", "2.0.0", Some("GPL-3.0")),
            package("mute", "3.0.0", None),
        ];
        let wrong = licences(&["MIT".to_owned()], &packages);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("bad 2.0.0: is licensed \"GPL-3.0\""), "{wrong:?}");
        assert!(wrong[1].starts_with("mute 3.0.0: names no licence"), "{wrong:?}");
    }

    #[test]
    fn a_duplicate_needs_a_reason_and_a_reason_needs_a_duplicate() {
        let (old, new) = (package("syn", "2.0.1", None), package("syn", "3.0.0", None));
        let twice = duplicates(&[], &[&old, &new]);
        assert!(twice[0].starts_with("syn stands 2 times (2.0.1, 3.0.0)"), "{twice:?}");
        assert_eq!(duplicates(&[skip("syn@2")], &[&old, &new]), Vec::<String>::new());
        let unused = duplicates(&[skip("gone@1")], &[&new]);
        assert_eq!(unused, ["deny.toml skips gone@1, which is not in use: take the line out"]);
    }

    #[test]
    fn a_package_from_elsewhere_is_named() {
        let mut elsewhere = package("odd", "1.0.0", None);
        elsewhere.source = Some("git+https://example.com/odd".to_owned());
        assert_eq!(sources(&[&elsewhere]), ["odd 1.0.0 does not come from crates.io"]);
    }
}
