//! `bascule plugin inspect FILE`: what a file is, plays and asks for, read from its bytes alone.
//!
//! Nothing is compiled or run, so it is safe on any file and says something also of one that would be refused later.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use wasmparser::{KnownCustom, MemoryType, Parser, Payload, ProducersSectionReader};

use super::{Problem, refused};
use crate::plugin::classify;
use crate::plugin::module::{Role, Version};
use crate::plugin::use_::needs_grant;

/// The section that the SDK's `export!` writes.
const SDK_SECTION: &str = "bascule-sdk";
const CONTRACT: &str = "bascule:plugin/";
/// Bytes of a page of linear memory.
const PAGE: u64 = 64 * 1024;

/// What a plugin file says of itself. As JSON, the names of the fields are an interface.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The version: the start of the hash.
    pub version: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// "core module" or "component".
    pub kind: &'static str,
    /// Bytes of the file.
    pub size: usize,
    /// The roles that it plays.
    pub roles: Vec<String>,
    /// The contract's interfaces that it imports.
    pub imports: Vec<String>,
    /// Those of them that the configuration has to grant.
    pub grants: Vec<String>,
    /// What it imports beside the contract.
    pub other_imports: Vec<String>,
    /// Its linear memory.
    pub memory: Memory,
    /// The version of the contract that it was built for.
    pub contract: Option<String>,
    /// The version of the Rust SDK that it was built with.
    pub sdk: Option<String>,
    /// The languages and tools that made it, as they wrote it down.
    pub producers: Vec<String>,
}

/// Pages of 64 KiB of linear memory.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// At the start.
    pub initial_pages: u64,
    /// The most that the plugin itself allows; the use's limit holds in any case.
    pub maximum_pages: Option<u64>,
}

/// Reads a plugin file.
///
/// # Errors
/// When the file cannot be a plugin: one sentence says what it is.
pub fn inspect(bytes: &[u8]) -> Result<Report, Problem> {
    let component = classify::component(bytes).map_err(refused)?;
    let version = Version::of(bytes);
    let mut report = Report {
        version: version.to_string(),
        sha256: version.bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        kind: if matches!(component, std::borrow::Cow::Borrowed(_)) { "component" } else { "core module" },
        size: bytes.len(),
        ..Report::default()
    };
    let broken = |error: wasmparser::BinaryReaderError| {
        Problem::Input(format!("no plugin: it is broken WebAssembly: {error}; build it again"))
    };
    report.read_own(bytes).map_err(broken)?;
    report.read_interfaces(&component).map_err(broken)?;
    Ok(report)
}

impl Report {
    /// What stands in the file as it is: sections of all modules in it.
    fn read_own(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::MemorySection(memories) => {
                    memories
                        .into_iter()
                        .try_for_each(|memory| memory.map(|memory| self.add_memory(&memory)))?;
                }
                Payload::CustomSection(section) if section.name() == SDK_SECTION => {
                    self.sdk = Some(String::from_utf8_lossy(section.data()).into_owned());
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(producers) = section.as_known() {
                        // A tool's remarks; what cannot be read is left out.
                        self.producers.extend(tools(producers).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        self.producers.sort();
        self.producers.dedup();
        Ok(())
    }

    fn add_memory(&mut self, memory: &MemoryType) {
        self.memory.initial_pages += memory.initial;
        self.memory.maximum_pages = memory.maximum;
    }

    /// What the component imports and exports, which for a core module is known when it was made one.
    fn read_interfaces(&mut self, component: &[u8]) -> wasmparser::Result<()> {
        let mut others = BTreeSet::new();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        let name = import?.name.name;
                        match self.of_contract(name) {
                            Some(interface) => self.imports.push(interface),
                            None => drop(others.insert(name.to_owned())),
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        let role = self.of_contract(export?.name.name);
                        self.roles
                            .extend(role.filter(|role| Role::ALL.iter().any(|known| known.name() == role)));
                    }
                }
                _ => {}
            }
        }
        let place = |role: &String| Role::ALL.iter().position(|known| known.name() == role);
        self.roles.sort_by_key(place);
        self.grants = self.imports.iter().filter(|interface| needs_grant(interface)).cloned().collect();
        self.other_imports = others.into_iter().collect();
        Ok(())
    }

    /// "nodes" of "bascule:plugin/nodes@0.1.0", whose version is noted.
    fn of_contract(&mut self, name: &str) -> Option<String> {
        let (interface, version) = name.strip_prefix(CONTRACT)?.split_once('@')?;
        self.contract = Some(version.to_owned());
        Some(interface.to_owned())
    }
}

fn tools(producers: ProducersSectionReader<'_>) -> wasmparser::Result<Vec<String>> {
    let mut tools = Vec::new();
    for field in producers {
        for value in field?.values {
            let value = value?;
            tools.push(format!("{} {}", value.name, value.version).trim().to_owned());
        }
    }
    Ok(tools)
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &str| writeln!(out, "{name:<9} {value}");
        let listed = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        line("version", &format!("{} (SHA-256 {})", self.version, self.sha256))?;
        line(
            "kind",
            match self.kind {
                "component" => "a component",
                _ => "a core module, made a component when it is loaded",
            },
        )?;
        line("size", &kilobytes(self.size as u64))?;
        line("roles", &listed(&self.roles))?;
        line("imports", &listed(&self.imports))?;
        match &*self.grants {
            [] => line("grants", "none needed")?,
            grants => {
                let quoted: Vec<_> = grants.iter().map(|grant| format!("\"{grant}\"")).collect();
                line("grants", &format!("write `grants = [{}]` in its use's table", quoted.join(", ")))?;
            }
        }
        line("others", &listed(&packages(&self.other_imports)))?;
        line("memory", &self.memory.to_string())?;
        line(
            "contract",
            self.contract.as_deref().unwrap_or("unknown: it neither imports nor exports anything of it"),
        )?;
        line("SDK", self.sdk.as_deref().unwrap_or("unknown: it was not written with the Rust SDK"))?;
        match &*self.producers {
            [] => Ok(()), // stripped, as most are
            producers => line("made by", &producers.join(", ")),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = |pages: u64| format!("{pages} pages ({})", kilobytes(pages * PAGE));
        write!(out, "{} at the start, ", pages(self.initial_pages))?;
        match self.maximum_pages {
            Some(most) => write!(out, "at most {}", pages(most)),
            None => write!(out, "no maximum of its own"),
        }
    }
}

/// "wasi:cli" of "wasi:cli/stdin@0.2.6", each once.
fn packages(imports: &[String]) -> Vec<String> {
    let mut packages: Vec<_> =
        imports.iter().map(|import| import.split(['/', '@']).next().unwrap_or(import)).collect();
    packages.dedup();
    packages.into_iter().map(str::to_owned).collect()
}

/// Bytes as people read them.
pub(super) fn kilobytes(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} bytes") } else { format!("{} KB", bytes / 1000) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plugin::testing::plugin;

    const PICK: &str = r#"
        (import "shared" "delete" (func $delete (param i32 i32 i32)))
        ;; ---
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;

    #[test]
    fn a_core_module_says_what_it_plays_and_asks_for() {
        let file = plugin(&["balancer"], PICK);
        let report = inspect(&file).unwrap();
        assert_eq!((report.kind, report.size), ("core module", file.len()));
        assert_eq!(report.roles, ["balancer"]);
        assert_eq!(
            (&*report.imports, &*report.grants),
            (&["shared".to_owned()][..], &["shared".to_owned()][..])
        );
        assert_eq!(report.contract.as_deref(), Some("0.1.0"));
        assert_eq!(report.memory, Memory { initial_pages: 2, maximum_pages: None });
        assert_eq!(report.sha256[..12], report.version);
        let text = report.to_string();
        assert!(text.contains("write `grants = [\"shared\"]`"), "{text}");
        assert!(text.contains("was not written with the Rust SDK"), "{text}");
    }

    #[test]
    fn a_component_says_the_same() {
        let module = plugin(&["balancer"], PICK);
        let component = classify::component(&module).unwrap().into_owned();
        let report = inspect(&component).unwrap();
        let expected = inspect(&module).unwrap();
        assert_eq!(report.kind, "component");
        assert_eq!((report.roles, report.imports), (expected.roles, expected.imports));
    }

    #[test]
    fn what_is_no_plugin_is_named() {
        let error = inspect(b"hello").unwrap_err();
        assert!(matches!(&error, Problem::Input(text) if text.contains("a text file")), "{error}");
    }
}
