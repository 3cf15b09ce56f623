//! The contract's functions that a plugin under test is called through, whatever they answer.

use crate::plugin::context::Context;
use crate::plugin::{Choice, Fault, Instances, Role, Roles};

/// A function of the contract, but `configure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    Route,
    OnRequest,
    Pick,
    OnComplete,
    OnResponse,
    Period,
    Tick,
}

impl Function {
    /// Those about a request, in the order of its life.
    const OF_A_REQUEST: [Self; 5] =
        [Self::Route, Self::OnRequest, Self::Pick, Self::OnComplete, Self::OnResponse];
    const ALL: [Self; 7] = [
        Self::Route,
        Self::OnRequest,
        Self::Pick,
        Self::OnComplete,
        Self::OnResponse,
        Self::Period,
        Self::Tick,
    ];

    /// Those that a plugin with these roles has.
    pub(super) fn of(roles: Roles) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |function| roles.plays(function.role()))
    }

    /// Whether it is about a request.
    pub(super) fn is_of_a_request(self) -> bool {
        Self::OF_A_REQUEST.contains(&self)
    }

    fn role(self) -> Role {
        match self {
            Self::Route => Role::Router,
            Self::OnRequest | Self::OnResponse => Role::Filter,
            Self::Pick => Role::Balancer,
            Self::OnComplete => Role::Observer,
            Self::Period | Self::Tick => Role::Timer,
        }
    }

    /// Its name in the contract.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::OnRequest => "on-request",
            Self::Pick => "pick",
            Self::OnComplete => "on-complete",
            Self::OnResponse => "on-response",
            Self::Period => "period",
            Self::Tick => "tick",
        }
    }

    /// Calls it; only `pick` has an answer that matters here.
    pub(super) fn call(
        self,
        instances: &Instances,
        context: &mut Option<Box<Context>>,
    ) -> Result<Choice, Fault> {
        match self {
            Self::Route => instances.route(context).now().map(drop)?,
            Self::OnRequest => instances.on_request(context).now().map(drop)?,
            Self::Pick => return instances.pick(context).now(),
            Self::OnComplete => instances.on_complete(context).now()?,
            Self::OnResponse => instances.on_response(context).now().map(drop)?,
            Self::Period => instances.period().map(drop)?,
            Self::Tick => instances.tick().now()?,
        }
        Ok(Choice::Abstain)
    }
}
