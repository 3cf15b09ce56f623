//! A store that answers when the test wants it, and plugins that ask it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use wasmtime::component::WasmStr;

use super::super::{plugin, spec};
use crate::plugin::engine::Engine;
use crate::plugin::host::Host;
use crate::plugin::imports::wait::wait;
use crate::plugin::instances::Instances;
use crate::plugin::use_::{Limits, Use, UseSpec};
use crate::plugin::{Called, Lane};
use crate::store::StoreError;

/// What a plugin asked of the store, which answers when the test wants it.
pub(super) struct Asked(pub(super) oneshot::Sender<Result<Option<Arc<str>>, StoreError>>);

impl Asked {
    pub(super) fn answer(self, node: &str) {
        self.0.send(Ok(Some(node.into()))).unwrap();
    }
}

type Call<'a> = wasmtime::StoreContextMut<'a, Host>;
type Got = Result<Option<Arc<str>>, Failure>;

async fn get(mut call: Call<'_>, ask: mpsc::UnboundedSender<Asked>) -> wasmtime::Result<(Got,)> {
    let answer = async move {
        let (answer, answered) = oneshot::channel();
        ask.send(Asked(answer)).unwrap();
        answered.await.unwrap_or(Err(StoreError::Unavailable))
    };
    Ok((wait(&mut call, answer).await.map_err(|_| Failure::Unavailable),))
}

/// A store that asks the test.
pub(super) struct Store {
    engine: Engine,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Store {
    pub(super) fn new() -> Store {
        let mut engine = Engine::new().unwrap();
        let (ask, asked) = mpsc::unbounded_channel();
        let linker = engine.waiting_linker();
        linker.allow_shadowing(true);
        let mut sessions = linker.instance("bascule:plugin/sessions@0.1.0").unwrap();
        sessions
            .func_wrap_async("get", move |call: Call<'_>, (_,): (WasmStr,)| Box::new(get(call, ask.clone())))
            .unwrap();
        Store { engine, asked }
    }

    /// Runs a call until it waits for the store.
    pub(super) async fn question<A: Unpin + std::fmt::Debug>(&mut self, call: &mut Called<'_, A>) -> Asked {
        tokio::select! {
            biased;
            result = call => panic!("it did not wait: {result:?}"),
            asked = self.asked.recv() => asked.unwrap(),
        }
    }

    /// The gateway's instances of a plugin on the waiting lane.
    pub(super) fn instances(&self, limits: Limits, roles: &[&str], body: &str) -> Instances {
        let module = Arc::new(self.engine.compile(&plugin(roles, body)).unwrap());
        let spec = UseSpec { limits, ..spec(&[]) };
        let mut used = Use::new(1, 1, spec, module, Arc::default(), Arc::default()).unwrap();
        used.lane = Lane::Waiting;
        used.deadline = limits.deadline.unwrap_or(Lane::Waiting.deadline());
        used.instances = limits.instances.unwrap_or(Lane::Waiting.instances());
        Instances::new(Arc::new(used))
    }

    /// A policy that picks the node of a session, and then does this.
    pub(super) fn policy(&self, limits: Limits, then: &str) -> Instances {
        self.instances(limits, &["balancer"], &sticky(then))
    }
}

#[derive(Clone, Copy, wasmtime::component::ComponentType, wasmtime::component::Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "the contract has both")]
enum Failure {
    #[component(name = "unavailable")]
    Unavailable,
    #[component(name = "refused")]
    Refused,
}

fn sticky(then: &str) -> String {
    format!(
        r#"(import "sessions" "get" (func $get (param i32 i32 i32)))
        (import "nodes" "find" (func $find (param i32 i32 i32)))
        (import "request" "set-note" (func $note (param i64)))
        ;; ---
        (data (i32.const 16) "token")
        (func (export "balancer#pick") (result i32) (local $i i64)
            (call $note (i64.const 7))
            (call $get (i32.const 16) (i32.const 5) (i32.const 256))
            {then}
            (call $find (i32.load (i32.const 264)) (i32.load (i32.const 268)) (i32.const 512))
            (call $answer (i32.load8_u (i32.const 512)) (i32.load (i32.const 516))))"#
    )
}
