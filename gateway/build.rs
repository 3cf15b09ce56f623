//! Lists the SDK's files, so that `bascule plugin new` can write them beside a new plugin: the SDK is in no registry.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sdk = workspace.join("plugin-sdk");
    let mut files = Vec::new();
    for folder in ["src", "wit"] {
        gather(&sdk.join(folder), &mut files)?;
    }
    files.sort();
    let mut list = String::from("[\n");
    for file in files {
        let name = file.strip_prefix(&sdk).map_err(Error::other)?;
        list += &format!("({name:?}, include_str!({:?})),\n", fs::canonicalize(&file)?);
    }
    list += "]";
    // A new file changes its folder; what changes in a file, include_str! notices.
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo sets OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("sdk_files.rs"), list)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
