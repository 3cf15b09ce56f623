//! Finds yanked versions in cargo's own copy of the registry index, so that no network is needed.
//!
//! That copy is as old as cargo's last look at each crate. Its format is cargo's own business, so what cannot be read is
//! "not known", never "fine".

use crate::tools::Package;
use anyhow::Result;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One version's line in the index.
#[derive(Deserialize)]
struct Entry {
    vers: String,
    yanked: bool,
}

/// Those of `packages` whose version was yanked, as NAME@VERSION; none when no package is found in the index at all.
///
/// # Errors
/// When the folder of indexes cannot be listed though it is there.
pub(crate) fn among(packages: &[&Package]) -> Result<Option<Vec<String>>> {
    let mut known = 0;
    let mut found = Vec::new();
    let folders = indexes()?;
    for package in packages {
        let path = index_path(&package.name);
        let state = folders
            .iter()
            .filter_map(|folder| std::fs::read(folder.join(".cache").join(&path)).ok())
            .find_map(|file| yanked(&file, &package.version));
        known += usize::from(state.is_some());
        if state == Some(true) {
            found.push(format!("{}@{}", package.name, package.version));
        }
    }
    println!("yanked versions: {known} of {} packages are in cargo's copy of the index", packages.len());
    Ok((known > 0).then_some(found))
}

fn indexes() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let folder = home.join("registry/index");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// Where the index keeps a crate: 1/a, 2/ab, 3/a/abc, ab/cd/abcdef.
fn index_path(name: &str) -> PathBuf {
    let name = name.to_lowercase();
    match name.len() {
        length @ (1 | 2) => Path::new(&length.to_string()).join(name),
        3 => Path::new("3").join(&name[..1]).join(name),
        _ => Path::new(&name[..2]).join(&name[2..4]).join(name),
    }
}

/// Whether a version was yanked; none when the file does not tell. The file is a header, then for each version its
/// number and its line as JSON, all ended by NUL.
fn yanked(file: &[u8], version: &str) -> Option<bool> {
    file.split(|&byte| byte == 0)
        .filter_map(|part| serde_json::from_slice::<Entry>(part).ok())
        .find(|entry| entry.vers == version)
        .map(|entry| entry.yanked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_tells_which_version_was_yanked() {
        let file = b"\x03\x02\0\0\0etag\x000.1.0\0{\"name\":\"a\",\"vers\":\"0.1.0\",\"yanked\":true}\x000.2.0\0{\"vers\":\"0.2.0\",\"yanked\":false}\0";
        assert_eq!(yanked(file, "0.1.0"), Some(true));
        assert_eq!(yanked(file, "0.2.0"), Some(false));
        assert_eq!(yanked(file, "0.3.0"), None);
        assert_eq!(yanked(b"another format", "0.1.0"), None);
    }

    #[test]
    fn a_crate_lies_where_the_index_puts_it() {
        let paths = ["a", "cc", "syn", "Tokio"].map(|name| index_path(name).display().to_string());
        assert_eq!(paths, ["1/a", "2/cc", "3/s/syn", "to/ki/tokio"]);
    }
}
