//! The plugin author's side: `bascule plugin new | dev | inspect | check | bench`.
//!
//! It makes, looks at and tries plugins with what [`crate::plugin`] gives, and serves no request: it knows neither routes
//! nor the configuration file, which the command line reads for it. Nothing here prints; what there is to say comes back
//! as values that write themselves, or goes to a writer.

pub mod bench;
pub mod check;
pub mod dev;
mod function;
pub mod inspect;
pub mod new;
mod scene;
mod sdk;

use std::path::Path;

use crate::plugin::{Engine, LoadError, UseSpec};

/// Why a command cannot go on. Each text ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// What was asked for makes no sense, or the file is none that it could be.
    #[error("{0}")]
    Input(String),
    /// The machine did not do its part.
    #[error("{0}")]
    Machine(String),
}

impl Problem {
    fn io(what: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self::Machine(format!("{what}: {error}"))
    }
}

/// A plugin file's content.
///
/// # Errors
/// When there is no file to be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        Problem::Input(format!(
            "{} cannot be read: {error}; name a .wasm file, such as target/wasm32-wasip1/release/NAME.wasm",
            path.display()
        ))
    })
}

fn engine() -> Result<Engine, Problem> {
    Engine::new().map_err(|error| Problem::Machine(error.to_string()))
}

fn refused(error: LoadError) -> Problem {
    Problem::Input(format!("no plugin: {error}"))
}

/// What is tried when no configuration says otherwise: every grant, and no keys.
#[must_use]
pub fn plain_use(name: &str) -> UseSpec {
    UseSpec {
        name: name.into(),
        configuration: "{}".to_owned(),
        on_fault: crate::plugin::OnFault::Fail,
        grants: Vec::new(),
        limits: crate::plugin::Limits::default(),
        shared: crate::store::Scope::Gateway,
    }
}
