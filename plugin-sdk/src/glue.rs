//! Joins the roles' traits to what the host calls. Only `export!` uses it.

use crate::bindings::{balancer, filter, lifecycle, observer, router, timer};
use crate::nodes::millis;
use crate::{
    Balancer, Choice, Decision, Filter, Lifecycle, Nodes, Observer, Outcome, Request, RequestMut,
    ResponseMut, Router, Schedule, Scope, Timer, Verdict, config,
};

/// Holds the one instance that a wasm instance is.
pub trait Held {
    /// The plugin's own type.
    type Plugin;
    /// Calls it.
    fn with<R>(act: impl FnOnce(&mut Self::Plugin) -> R) -> R;
    /// Puts it in place.
    fn put(plugin: Self::Plugin);
}

impl<H: Held<Plugin: Lifecycle>> lifecycle::Guest for H {
    fn configure(configuration: String) -> Result<(), String> {
        H::put(H::Plugin::configure(config::parse(&configuration)?)?);
        Ok(())
    }
}

impl<H: Held<Plugin: Router>> router::Guest for H {
    fn route() -> router::Decision {
        match H::with(|plugin| plugin.route(&Request::CURRENT)) {
            Decision::GoOn => router::Decision::GoOn,
            Decision::Pool(name) => router::Decision::Pool(name),
            Decision::Answer(answer) => router::Decision::Answer(answer.0),
            Decision::Redirect { status, location } => {
                router::Decision::Redirect(router::Redirection { status, location })
            }
        }
    }
}

impl<H: Held<Plugin: Balancer>> balancer::Guest for H {
    fn pick() -> balancer::Choice {
        match H::with(|plugin| plugin.pick(&Request::CURRENT, &Nodes::CURRENT)) {
            Choice::Abstain => balancer::Choice::Abstain,
            Choice::Node(index) => balancer::Choice::Node(index),
            Choice::Reject(status) => balancer::Choice::Reject(status),
        }
    }
}

impl<H: Held<Plugin: Filter>> filter::Guest for H {
    fn on_request() -> filter::Verdict {
        verdict(H::with(|plugin| plugin.on_request(&mut RequestMut::current())))
    }

    fn on_response() -> filter::Verdict {
        verdict(H::with(|plugin| plugin.on_response(&Request::CURRENT, &mut ResponseMut::current())))
    }
}

fn verdict(verdict: Verdict) -> filter::Verdict {
    match verdict {
        Verdict::GoOn => filter::Verdict::GoOn,
        Verdict::Answer(answer) => filter::Verdict::Answer(answer.0),
        Verdict::Done => filter::Verdict::Done,
    }
}

impl<H: Held<Plugin: Observer>> observer::Guest for H {
    fn on_complete() {
        H::with(|plugin| plugin.on_complete(&Request::CURRENT, &Outcome::CURRENT));
    }
}

impl<H: Held<Plugin: Timer>> timer::Guest for H {
    fn period() -> timer::Schedule {
        let Schedule { period, scope } = H::with(Timer::schedule);
        let scope = match scope {
            Scope::EveryWorker => timer::Scope::EveryWorker,
            Scope::OneWorker => timer::Scope::OneWorker,
        };
        timer::Schedule { period_ms: millis(period), scope }
    }

    fn tick() {
        H::with(Timer::tick);
    }
}
