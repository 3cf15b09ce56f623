//! Plugins that behave and plugins that do not, run as the gateway runs them.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use super::context::Context;
use super::engine::Engine;
use super::exports::{Choice, Decision, Verdict};
use super::fault::{FaultKind, LoadError};
use super::instances::Instances;
use super::module::{Role, Roles};
use super::services::Services;
use super::stats::UseStats;
use super::testing::plugin;
use super::use_::{Limits, OnFault, Use, UseSpec};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

fn spec(grants: &[&str]) -> UseSpec {
    UseSpec {
        name: "test".into(),
        configuration: "{}".to_owned(),
        on_fault: OnFault::Fail,
        grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
        limits: Limits::default(),
    }
}

fn use_of(spec: UseSpec, file: &[u8]) -> Result<Arc<Use>, LoadError> {
    let module = Arc::new(ENGINE.compile(file)?);
    Use::new(
        1,
        1,
        spec,
        module,
        Arc::new(UseStats::default()),
        Arc::new(Services::default()),
    )
    .map(Arc::new)
}

fn instances(roles: &[&str], body: &str) -> Instances {
    Instances::new(use_of(spec(&[]), &plugin(roles, body)).unwrap())
}

/// A request for trial.invalid with two nodes to choose from.
fn context() -> Option<Box<Context>> {
    Some(super::trial::invented())
}

#[test]
fn a_policy_picks() {
    let instances = instances(
        &["balancer"],
        r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 1) (i32.const 1)))"#,
    );
    assert!(instances.use_().module.roles.contains(Roles::BALANCER));
    let mut context = context();
    assert_eq!(instances.pick(&mut context), Ok(Choice::Node(1)));
    assert_eq!(context.unwrap().request.path(), b"/trial?of=plugin");
    assert_eq!(instances.use_().stats.calls(Role::Balancer), 1);
}
