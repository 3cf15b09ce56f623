//! Plugins that behave and plugins that do not, run as the gateway runs them.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use super::context::Context;
use super::engine::Engine;
use super::fault::LoadError;
use super::instances::Instances;
use super::services::Services;
use super::stats::UseStats;
use super::testing::plugin;
use super::use_::{Limits, OnFault, Use, UseSpec};
use crate::store::Scope;

mod caps;
mod compiling;
mod edits;
mod fairness;
mod faults;
mod foreseen;
mod loading;
mod quarantine;
mod roles;
mod shipped;
mod stores;
mod upkeep;
mod waiting;
mod wasi;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

fn spec(grants: &[&str]) -> UseSpec {
    UseSpec {
        name: "test".into(),
        configuration: "{}".to_owned(),
        on_fault: OnFault::Fail,
        grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
        // Debug builds are slow; what is about deadlines sets its own.
        limits: Limits { deadline: Some(Duration::from_secs(1)), ..Limits::default() },
        shared: Scope::Gateway,
    }
}

fn use_of(spec: UseSpec, file: &[u8]) -> Result<Arc<Use>, LoadError> {
    let module = Arc::new(ENGINE.compile(file)?);
    Use::new(1, 1, spec, module, Arc::new(UseStats::default()), Arc::new(Services::default())).map(Arc::new)
}

/// What the gateway would run of a plugin in these roles, with these grants.
fn granted(grants: &[&str], roles: &[&str], body: &str) -> Instances {
    Instances::new(use_of(spec(grants), &plugin(roles, body)).unwrap())
}

fn instances(roles: &[&str], body: &str) -> Instances {
    granted(&[], roles, body)
}

/// A request for trial.invalid with two nodes to choose from.
fn context() -> Option<Box<Context>> {
    Some(super::trial::invented())
}

/// The number that the plugin noted on the request.
fn note(context: &Option<Box<Context>>) -> u64 {
    context.as_ref().unwrap().notes.first().map_or(0, |note| note.number)
}

/// What was logged while `act` ran.
fn logged(act: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}
