//! `bascule plugin new NAME`: a crate with one small plugin, its test and a README, that builds wherever it lies.
//!
//! Nothing that exists is touched. What it needs beside the registry's serde and wit-bindgen, the SDK, is written into it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Problem, sdk};
use crate::name::Name;

const MANIFEST: &str = include_str!("templates/Cargo.toml.txt");
const README: &str = include_str!("templates/README.md.txt");

/// Which plugin to begin with: each plays the role that it is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// A policy.
    Balancer,
    /// Edits responses.
    Filter,
    /// Chooses the pool; has a configuration.
    Router,
    /// Counts failures.
    Observer,
    /// The same, once in ten seconds.
    Timer,
}

impl Template {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Balancer, Self::Filter, Self::Router, Self::Observer, Self::Timer];

    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Filter => "filter",
            Self::Router => "router",
            Self::Observer => "observer",
            Self::Timer => "timer",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Balancer => include_str!("templates/balancer.rs"),
            Self::Filter => include_str!("templates/filter.rs"),
            Self::Router => include_str!("templates/router.rs"),
            Self::Observer => include_str!("templates/observer.rs"),
            Self::Timer => include_str!("templates/timer.rs"),
        }
    }

    /// What it is, for the README.
    fn meaning(self) -> &'static str {
        match self {
            Self::Balancer => "a policy, which picks the node for each attempt",
            Self::Filter => "a filter, which sees and edits responses",
            Self::Router => "a router, which chooses the pool",
            Self::Observer => "an observer, which learns what became of each attempt",
            Self::Timer => "an observer with a timer, which acts between requests",
        }
    }

    /// The configuration that it needs, as JSON; empty if none.
    fn configuration(self) -> &'static str {
        match self {
            Self::Router => r#" --config '{ "header": "x-beta", "pool": "beta" }'"#,
            _ => "",
        }
    }

    /// What uses it, as TOML.
    fn usage(self) -> String {
        let mut text = String::new();
        if self == Self::Router {
            text += "[plugin.plugin-name]\nconfig = { header = \"x-beta\", pool = \"beta\" } # [pool.beta] is a pool of yours\n\n";
        }
        text += match self {
            Self::Balancer => "[pool.NAME] # one of yours\npolicy = \"plugin-name\"",
            _ => "[route.NAME] # one of yours\nfilters = [\"plugin-name\"]",
        };
        text
    }
}

/// Makes the folder `name` in `parent`, with a crate in it; answers its path.
///
/// # Errors
/// When the name cannot be a plugin's, when something of that name exists, or when it cannot be written.
pub fn make(parent: &Path, name: &str, template: Template) -> Result<PathBuf, Problem> {
    check_name(name)?;
    let folder = parent.join(name);
    fs::create_dir(&folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Problem::Input(format!(
            "{} exists already, and nothing in it was touched; choose another name, or move it away",
            folder.display()
        )),
        _ => Problem::io(format_args!("{} cannot be made", folder.display()), &error),
    })?;
    let write = |path: &Path, text: &str| {
        let path = folder.join(path);
        let done = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        done.map_err(|error| Problem::io(format_args!("{} cannot be written", path.display()), &error))
    };
    for (path, text) in own_files(name, template) {
        write(Path::new(path), &text)?;
    }
    for (path, text) in sdk::files() {
        write(&Path::new("vendor/bascule-plugin").join(path), &text)?;
    }
    Ok(folder)
}

fn own_files(name: &str, template: Template) -> [(&'static str, String); 4] {
    let filled = |text: &str| {
        text.replace("plugin-name", name)
            .replace("plugin_name", &name.replace('-', "_"))
            .replace("PluginName", &type_name(name, template.code()))
    };
    let mut manifest = MANIFEST.to_owned();
    if !template.code().contains("Deserialize") {
        manifest = manifest.lines().filter(|line| !line.starts_with("serde")).fold(
            String::new(),
            |mut text, line| {
                let _ = writeln!(text, "{line}");
                text
            },
        );
    }
    let readme = README
        .replace("ROLE", template.meaning())
        .replace("SAMPLE_CONFIG", template.configuration())
        .replace("USE", &template.usage());
    [
        ("Cargo.toml", filled(&manifest)),
        ("README.md", filled(&readme)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", filled(template.code())),
    ]
}

/// `by-zone` is the type `ByZone`; `filter` is `FilterPlugin`, since the code around it needs the name `Filter`.
fn type_name(name: &str, code: &str) -> String {
    let words = name.split('-').filter(|word| !word.is_empty());
    let joined: String = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    let in_use =
        code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == joined);
    if in_use { joined + "Plugin" } else { joined }
}

/// Words that cargo takes for no crate's name, or that would hide a crate that is needed.
const TAKEN: &str = "\
    abstract alloc as async await bascule-plugin become box break const continue core crate do dyn else \
    enum extern false final fn for gen if impl in let loop macro match mod move mut override priv \
    proc-macro pub ref return self serde serde-json static std struct super test trait true try type \
    typeof unsafe unsized use virtual where while wit-bindgen yield";

fn check_name(name: &str) -> Result<(), Problem> {
    let nearest = || match Name::nearest(name) {
        Some(near) if near.as_str() != name => format!("; `{near}` would do"),
        _ => "; `by-zone` would do".to_owned(),
    };
    let refuse = |why: String| Err(Problem::Input(why));
    if let Err(error) = name.parse::<Name>() {
        return refuse(format!("{error}{}", nearest()));
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return refuse(format!(
            "{name:?} cannot name a plugin: a crate's name begins with a letter; `by-zone` would do"
        ));
    }
    if TAKEN.split(' ').any(|word| word == name) {
        return refuse(format!(
            "{name:?} cannot name a plugin: the word has a meaning in Rust already; `my-{name}` would do"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_that_cannot_be_is_answered_with_one_that_can() {
        for (name, words) in [
            ("By_Zone", "`by-zone` would do"),
            ("../up", "`up` would do"),
            ("", "`by-zone` would do"),
            ("2nd", "begins with a letter"),
            ("match", "`my-match` would do"),
        ] {
            let error = check_name(name).unwrap_err();
            assert!(
                matches!(error, Problem::Input(_)) && error.to_string().contains(words),
                "{name}: {error}"
            );
        }
        check_name("by-zone").unwrap();
    }

    #[test]
    fn what_exists_is_not_touched() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("by-zone"), "mine").unwrap();
        let error = make(parent.path(), "by-zone", Template::Balancer).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
        assert_eq!(fs::read(parent.path().join("by-zone")).unwrap(), b"mine");
    }

    #[test]
    fn no_placeholder_is_left() {
        for template in Template::ALL {
            for (path, text) in own_files("by-zone2", template) {
                for placeholder in
                    ["plugin-name", "plugin_name", "PluginName", "ROLE", "SAMPLE_CONFIG", "USE"]
                {
                    assert!(!text.contains(placeholder), "{template:?}, {path}: {placeholder}");
                }
            }
            assert!(template.code().contains(template.name()), "{template:?}");
        }
    }

    #[test]
    fn the_type_has_the_plugins_name_unless_the_code_needs_that() {
        let name = |name| type_name(name, Template::Filter.code());
        assert_eq!([name("by-zone2"), name("a--b")], ["ByZone2", "AB"]);
        assert_eq!([name("filter"), name("filter-test")], ["FilterPlugin", "FilterTestPlugin"]);
    }
}
