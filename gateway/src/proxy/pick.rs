//! Fourth step: the pool's policies are asked in order; the native round robin stands last.

use super::error::Error;
use super::exchange::Exchange;
use super::filters::Places;
use crate::plugin::{Choice, FaultKind, Roles};
use crate::telemetry::FallbackReason;

/// What the response says of a node that no policy picked.
const NATIVE: &str = "round-robin (native)";

impl Exchange<'_> {
    /// The node for the next attempt, as an index of the selection.
    pub(super) async fn pick(&mut self) -> Result<u32, Error> {
        let view = self.view;
        let policies = &view.pool(self.pool).policies;
        let mut why = None;
        // Whoever did without the response meant the node that it picked before.
        self.policies_spared = Places::default();
        for (index, &place) in policies.iter().enumerate() {
            let instances = &view.instances[place as usize];
            if !instances.plays(Roles::BALANCER) {
                continue;
            }
            let (context, patience) = self.lend();
            let chosen = patience.outlast(instances.pick(context)).await?;
            if self.context().session_lost {
                return Err(Error::SessionLost);
            }
            if std::mem::take(&mut self.context_mut().spares_response) {
                self.policies_spared.note(index);
            }
            match chosen {
                Ok(Choice::Abstain) => {
                    why = why.or(Some(FallbackReason::Abstain));
                    self.context_mut().selection.settle();
                }
                Ok(Choice::Node(index)) => {
                    self.policy = &instances.use_().spec.name;
                    return Ok(index);
                }
                Ok(Choice::Reject(status)) => {
                    self.policy = &instances.use_().spec.name;
                    return Err(Error::Refused(status));
                }
                Err(fault) => why = Some(reason(fault.kind)),
            }
        }
        let pool = &view.pools[self.pool as usize];
        if let Some(reason) = why {
            pool.metrics.fallback(reason);
        }
        self.policy = NATIVE;
        self.context().selection.round_robin(&pool.turn).ok_or(Error::NoNode)
    }
}

fn reason(fault: FaultKind) -> FallbackReason {
    match fault {
        FaultKind::Deadline => FallbackReason::Deadline,
        FaultKind::Busy => FallbackReason::Busy,
        FaultKind::Garbage => FallbackReason::BadIndex,
        FaultKind::Quarantined => FallbackReason::Quarantined,
        _ => FallbackReason::Trap,
    }
}
