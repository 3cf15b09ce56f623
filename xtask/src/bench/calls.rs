//! `cargo xtask bench plugins`: what each call of each shipped plugin costs, by `bascule plugin bench`.

use std::path::Path;

use anyhow::Result;

use crate::{plugins, tools};

/// Those that want a configuration, and one as people write it.
const CONFIGURED: [(&str, &str); 3] = [
    (
        "header_rewrite.wasm",
        r#"{ "request": { "set": { "x-edge": "bascule" } }, "response": { "set": { "x-edge": "bascule" } } }"#,
    ),
    (
        "path_router.wasm",
        r#"{ "rules": [{ "pool": "next", "headers": { "x-canary": "1" } }, { "pool": "next", "percent": 5 }] }"#,
    ),
    ("rate_limit.wasm", r#"{ "rate": "1000/s" }"#),
];

/// Measures every file in target/plugins with this gateway's binary.
///
/// # Errors
/// When one of them cannot be measured.
pub(super) fn measure(gateway: &Path) -> Result<()> {
    let mut files: Vec<_> = std::fs::read_dir(plugins::folder())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    files.sort();
    for file in files {
        let mut command = std::process::Command::new(gateway);
        command.args(["plugin", "bench"]).arg(&file);
        if let Some((_, text)) = CONFIGURED.iter().find(|(name, _)| file.ends_with(name)) {
            command.args(["--config", text]);
        }
        tools::run(&mut command)?;
    }
    Ok(())
}
