//! Builds samples/c-policy, which shows that the contract is not Rust's, with what Debian has for it.
//!
//! Nobody needs C to work on Bascule: where the tools are missing, the sample is left out, and says so.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::{plugins, tools};

/// The role that the sample plays.
const WORLD: &str = "balancer-plugin";

/// Builds it into target/guests/c_policy.wasm.
///
/// # Errors
/// When the tools are there and it does not compile.
pub(crate) fn c_policy() -> Result<()> {
    let missing = ["clang", "wasm-ld"].into_iter().find(|tool| tools::find(tool).is_none());
    let missing = missing.or_else(|| (!has_library()).then_some("wasi-libc"));
    if let Some(missing) = missing {
        println!(
            "samples/c-policy is left out, since {missing} is missing: `apt-get install clang lld wasi-libc libclang-rt-dev-wasm32`"
        );
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    generate(folder.path())?;
    let wasm = folder.path().join("c_policy.wasm");
    let mut clang = Command::new("clang");
    clang.args(["--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-Wall", "-Wextra", "-s", "-I"]);
    clang.arg(folder.path()).arg("-o").arg(&wasm).arg(tools::root().join("samples/c-policy/policy.c"));
    clang
        .args(["balancer_plugin.c", "balancer_plugin_component_type.o"].map(|file| folder.path().join(file)));
    tools::run(&mut clang)?;
    let content = std::fs::read(&wasm).context("clang made no file")?;
    let file = "target/guests/c_policy.wasm";
    let state = if plugins::publish(&tools::root().join(file), &content)? { "new" } else { "unchanged" };
    println!("{:>5} KB  {file}  ({state})", content.len().div_ceil(1000));
    Ok(())
}

/// Whether clang finds a C library for the target.
fn has_library() -> bool {
    let mut clang = Command::new("clang");
    clang.args(["--target=wasm32-wasi", "-print-file-name=crt1-reactor.o"]);
    // It answers the bare name where it knows no such file.
    tools::output(&mut clang).is_ok_and(|path| Path::new(path.trim()).is_absolute())
}

/// Writes the contract's bindings, as `wit-bindgen c` does.
fn generate(folder: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(tools::root().join("plugin-sdk/wit"))?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        std::fs::write(folder.join(name), content)?;
    }
    Ok(())
}
