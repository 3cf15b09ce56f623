//! One plugin that misbehaves in every role, as its configuration says, so that tests can show that the gateway
//! stands it. `README.md` lists the words. A role that is not named behaves.

mod config;
mod mischief;

use std::time::Duration;

use bascule_plugin::prelude::*;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};

use config::{Config, Configure, Filtering, Period, Pick, Route};
use mischief::{Mischief, break_down};

/// The plugin.
#[derive(Debug)]
pub struct Hostile {
    config: Config,
    calls: [u32; 5],
    /// Whether this instance is the one that the gateway tries; a timer cannot see it in a request.
    is_on_trial: bool,
}

/// Places in `calls`.
const ROUTE: usize = 0;
const PICK: usize = 1;
const ON_REQUEST: usize = 2;
const ON_RESPONSE: usize = 3;
const ON_COMPLETE: usize = 4;

impl Hostile {
    /// Whether this call of a role is one to misbehave in.
    fn due(&mut self, role: usize, request: &Request) -> bool {
        let Config { when, trial, .. } = &self.config;
        if !trial && request.pool() == "trial"
            || when.as_ref().is_some_and(|name| request.header(name).is_none())
        {
            return false;
        }
        self.calls[role] += 1;
        self.calls[role].is_multiple_of(self.config.every)
    }

    /// What a role does now: what its key says, or the request if the role is the one to ask for.
    fn word<W: Copy + DeserializeOwned>(
        &mut self,
        (role, key): (usize, &str),
        word: fn(&Config) -> Option<W>,
        request: &Request,
    ) -> Option<W> {
        self.is_on_trial |= !self.config.trial && request.pool() == "trial";
        if self.config.ask.as_deref() == Some(key) {
            let said = request.header("x-mischief")?;
            let said = StrDeserializer::<ValueError>::new(said.as_str()?);
            return Some(W::deserialize(said).expect("a word that the README lists"));
        }
        word(&self.config).filter(|_| self.due(role, request))
    }
}

impl Lifecycle for Hostile {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.every == 0 {
            return Err("every: write 1 or more".into());
        }
        match config.configure {
            Some(Configure::Error) => return Err("greeting: write a friendlier one".into()),
            Some(Configure::Break(mischief)) => break_down(mischief),
            None => {}
        }
        Ok(Self { config, calls: [0; 5], is_on_trial: false })
    }
}

impl Router for Hostile {
    fn route(&mut self, request: &Request) -> Decision {
        let Some(route) = self.word((ROUTE, "route"), |config| config.route, request) else {
            return Decision::GoOn;
        };
        match route {
            Route::NoSuchPool => Decision::Pool("no-such-pool".into()),
            Route::Answer403 => Answer::new(403).header("x-hostile", "route").body("route says no").into(),
            Route::Answer99 => Answer::new(99).into(),
            Route::Answer0 => Answer::new(0).into(),
            Route::Redirect => Decision::Redirect { status: 302, location: "/elsewhere".into() },
            Route::RedirectCrlf => {
                Decision::Redirect { status: 302, location: "/a\r\nset-cookie: stolen=1".into() }
            }
            Route::Break(mischief) => {
                break_down(mischief);
                Decision::GoOn
            }
        }
    }
}

impl Balancer for Hostile {
    fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice {
        let Some(pick) = self.word((PICK, "pick"), |config| config.pick, request) else {
            return Choice::Abstain;
        };
        match pick {
            Pick::OutOfRange => Choice::Node(u32::MAX),
            Pick::Node0 => Choice::Node(0),
            Pick::Abstain => Choice::Abstain,
            Pick::Reject503 => Choice::Reject(503),
            Pick::Reject99 => Choice::Reject(99),
            Pick::Reject0 => Choice::Reject(0),
            Pick::KeepNonsense => {
                nodes.keep([Node::at(u32::MAX), Node::at(77_777)]);
                Choice::Abstain
            }
            Pick::Break(mischief) => {
                break_down(mischief);
                Choice::Abstain
            }
        }
    }
}

impl Filter for Hostile {
    fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
        match self.word((ON_REQUEST, "on_request"), |config| config.on_request, request) {
            None => Verdict::GoOn,
            Some(Filtering::BadPath) => {
                let tries = ["no-slash", "/a b", "/a\r\nx: y", ""].map(|path| request.set_path(path));
                report(tries, |value| request.set_header("x-refused", value))
            }
            Some(what) => edit(what, |name, value| request.add_header(name, value)),
        }
    }

    fn on_response(&mut self, request: &Request, response: &mut ResponseMut) -> Verdict {
        match self.word((ON_RESPONSE, "on_response"), |config| config.on_response, request) {
            None => Verdict::GoOn,
            Some(Filtering::BadStatus) => {
                let tries = [0, 101, 199, 600, u16::MAX].map(|status| response.set_status(status));
                report(tries, |value| response.set_header("x-refused", value))
            }
            Some(what) => edit(what, |name, value| response.add_header(name, value)),
        }
    }
}

impl Observer for Hostile {
    fn on_complete(&mut self, request: &Request, _outcome: &Outcome) {
        let word = self.word((ON_COMPLETE, "on_complete"), |config| config.on_complete, request);
        if let Some(mischief) = word {
            break_down(mischief);
        }
    }
}

impl Timer for Hostile {
    fn schedule(&mut self) -> Schedule {
        let period = match self.config.period {
            _ if self.is_on_trial => Duration::from_secs(3600),
            None if self.config.tick.is_some() => Duration::from_millis(1),
            None => Duration::from_secs(3600),
            Some(Period::Zero) => Duration::ZERO,
            Some(Period::Break(mischief)) => {
                break_down(mischief);
                Duration::from_secs(3600)
            }
        };
        Schedule { period, scope: Scope::EveryWorker }
    }

    fn tick(&mut self) {
        if let Some(mischief) = self.config.tick.filter(|_| !self.is_on_trial) {
            break_down(mischief);
        }
    }
}

/// Edits that no gateway may take, in either direction. How many of them it refused is told in `x-refused: 3 of 3`.
fn edit(what: Filtering, mut add: impl FnMut(&str, &[u8]) -> Result<(), Refused>) -> Verdict {
    let filled = [b'x'; 1000];
    match what {
        Filtering::Crlf => {
            let values = ["a\r\nx-injected: 1", "a\nx-injected: 1", "a\rx-injected: 1", "a\0b"];
            report(values.map(|value| add("x-value", value.as_bytes())), |value| add("x-refused", value))
        }
        Filtering::Framing => {
            let names = [
                "content-length",
                "transfer-encoding",
                "connection",
                "upgrade",
                "keep-alive",
                "te",
                "trailer",
            ];
            report(names.map(|name| add(name, b"7")), |value| add("x-refused", value))
        }
        Filtering::BadName => {
            let names = ["", "x y", "x:y", "x\r\ny", "x\u{e9}"];
            report(names.map(|name| add(name, b"1")), |value| add("x-refused", value))
        }
        Filtering::ManyHeaders => {
            let refused = (0..1000).filter(|_| add("x-many", b"1").is_err()).count();
            tell(refused, 1000, |value| add("x-refused", value))
        }
        Filtering::MillionHeaders => {
            let refused = (0..1_000_000).filter(|_| add("x-many", b"1").is_err()).count();
            tell(refused, 1_000_000, |value| add("x-refused", value))
        }
        Filtering::SetHost => report([add("host", b"other.test")], |value| add("x-refused", value)),
        Filtering::HugeHeader => {
            report([add("x-huge", &filled.repeat(2000))], |value| add("x-refused", value))
        }
        Filtering::EditThenTrap => {
            let _ = add("x-half", b"1");
            break_down(Mischief::Trap);
            Verdict::GoOn
        }
        Filtering::Answer403 => Answer::new(403).header("x-hostile", "filter").body("filter says no").into(),
        Filtering::Answer99 => Answer::new(99).into(),
        Filtering::Answer0 => Answer::new(0).into(),
        Filtering::AnswerHuge => Answer::new(200).body(filled.repeat(8000)).into(),
        Filtering::Break(mischief) => {
            break_down(mischief);
            Verdict::GoOn
        }
        // Those that one direction alone has were done before.
        Filtering::BadPath | Filtering::BadStatus => Verdict::GoOn,
    }
}

fn report<const N: usize>(
    tries: [Result<(), Refused>; N],
    add: impl FnOnce(&[u8]) -> Result<(), Refused>,
) -> Verdict {
    tell(tries.iter().filter(|tried| tried.is_err()).count(), N, add)
}

fn tell(refused: usize, tries: usize, add: impl FnOnce(&[u8]) -> Result<(), Refused>) -> Verdict {
    if let Err(why) = add(format!("{refused} of {tries}").as_bytes()) {
        log::warn(why.0);
    }
    Verdict::GoOn
}

bascule_plugin::export!(Hostile: lifecycle, router, balancer, filter, observer, timer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PluginTest, json, request, response};

    use super::Hostile;

    fn hostile(config: impl ToString) -> PluginTest<Hostile> {
        PluginTest::configured(config).expect("the configuration is right").nodes(["a", "b"])
    }

    #[test]
    fn unnamed_roles_behave() {
        let mut test = hostile(json!({}));
        assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
        assert!(test.on_request(&request("GET", "/")).answer.is_none());
    }

    #[test]
    fn it_misbehaves_on_each_third_call_only() {
        let mut test = hostile(json!({ "pick": "out-of-range", "every": 3 }));
        let picks: Vec<_> = (0..6).map(|_| test.pick(&request("GET", "/"))).collect();
        let bad = Picked::OutOfRange(u32::MAX);
        assert_eq!(picks, [Picked::Abstain, Picked::Abstain, bad, Picked::Abstain, Picked::Abstain, bad]);
    }

    #[test]
    fn it_behaves_in_a_trial_and_without_its_header() {
        let mut test = hostile(json!({ "pick": "node-0", "when": "x-hostile" }));
        assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
        let marked = request("GET", "/").header("x-hostile", "1");
        assert_eq!(test.pick(&marked), Picked::Node("a"));
        assert_eq!(test.pick(&marked.pool("trial")), Picked::Abstain);
    }

    #[test]
    fn refused_edits_are_counted() {
        let config = json!({ "on_request": "crlf", "on_response": "framing" });
        let mut test = hostile(config);
        assert_eq!(test.on_request(&request("GET", "/")).request.get("x-refused"), Some("4 of 4"));
        let seen = test.on_response(&request("GET", "/"), response(200));
        assert_eq!(seen.response.get("x-refused"), Some("7 of 7"));
    }

    #[test]
    #[should_panic(expected = "hostile")]
    fn words_shared_by_all_roles_are_known_in_each() {
        hostile(json!({ "pick": "trap", "route": "loop", "configure": null })).pick(&request("GET", "/"));
    }

    #[test]
    fn a_word_that_nobody_knows_is_refused() {
        assert!(PluginTest::<Hostile>::configured(json!({ "pick": "explode" })).is_err());
    }
}
