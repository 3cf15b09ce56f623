//! Plays every role and calls every function of the contract, and says what came of it in header fields and metrics.
//!
//! `cargo xtask freeze` keeps it as it was built for each version of the contract: a gateway of a later day has to load and
//! run that file still. So it asks for plain things whose answers do not change.
//!
//! Keys: `name` (the fields' prefix is `x-NAME-`) and `node` (the id that it picks).

use std::time::Duration;

use bascule_plugin::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Everything {
    name: String,
    node: String,
}

impl Lifecycle for Everything {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, String> {
        if config.name.is_empty() { Err("`name` is empty".to_owned()) } else { Ok(config) }
    }
}

impl Router for Everything {
    fn route(&mut self, request: &Request) -> Decision {
        request.set_note(request.note() + 1);
        match request.header("x-want").as_ref().and_then(Value::as_str) {
            Some("pool") => Decision::Pool("other".to_owned()),
            Some("answer") => Answer::new(418).header("x-answered", "route").body("short and stout").into(),
            Some("redirect") => Decision::Redirect { status: 307, location: "/elsewhere".to_owned() },
            _ => Decision::GoOn,
        }
    }
}

impl Filter for Everything {
    fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
        // Only a pick can say that.
        spare::on_response();
        request.set_note(request.note() + 1);
        let seen = [
            request.method(),
            request.scheme(),
            request.authority().to_text().into_owned(),
            request.path().to_text().into_owned(),
            request.client_address(),
            request.id().len().to_string(),
            request.route(),
            request.pool(),
            request.attempt().to_string(),
            request.node().unwrap_or_default(),
            request.header("x-twice").map(|value| value.to_text().into_owned()).unwrap_or_default(),
            request.header_values("x-twice").len().to_string(),
            request.cookie("theme").map(|value| value.to_text().into_owned()).unwrap_or_default(),
        ];
        let edits = [
            request.set_note_text("kept"),
            request.set_header(&self.field("saw"), seen.join("|")),
            request.add_header(&self.field("added"), "1"),
            request.add_header(&self.field("added"), "2"),
            request.remove_header("x-remove"),
            request.set_path("/changed?by=plugin"),
        ];
        self.verdict(request, &edits, "on-request")
    }

    fn on_response(&mut self, request: &Request, response: &mut ResponseMut) -> Verdict {
        request.set_note(request.note() + 1);
        let seen = [
            response.status().to_string(),
            response.header("x-twice").map(|value| value.to_text().into_owned()).unwrap_or_default(),
            response.header_values("x-twice").len().to_string(),
            request.node().unwrap_or_default(),
            request.note_text(),
            request.note().to_string(),
        ];
        let edits = [
            response.set_status(202),
            response.set_header(&self.field("saw"), seen.join("|")),
            response.set_header(&self.field("stores"), stores().unwrap_or_else(|error| error.to_string())),
            response.add_header(&self.field("added"), "1"),
            response.remove_header("x-remove"),
        ];
        self.verdict(request, &edits, "on-response")
    }
}

impl Everything {
    fn field(&self, what: &str) -> String {
        ["x-", &self.name, "-", what].concat()
    }

    /// An answer where the request wants one or an edit was refused.
    fn verdict(&self, request: &Request, edits: &[Result<(), Refused>], stage: &str) -> Verdict {
        if let Some(Err(why)) = edits.iter().find(|edit| edit.is_err()) {
            return Answer::new(500).body(why.to_string()).into();
        }
        match request.header("x-want") {
            Some(wanted) if wanted == stage => Answer::new(418).header("x-answered", stage).into(),
            Some(wanted) if wanted == "done" => Verdict::Done,
            // Of a response it is the same as to go on.
            _ if stage == "on-response" => Verdict::Done,
            _ => Verdict::GoOn,
        }
    }
}

/// What sessions and shared values answer, in the order in which it is asked.
fn stores() -> Result<String, StoreError> {
    let first = sessions::bind(None, "node-a", MINUTE, None)?;
    let again = sessions::bind(Some(&first.token), "node-b", MINUTE, None)?;
    let moved = sessions::bind(Some(&first.token), "node-b", MINUTE, Some("node-a"))?;
    let held = sessions::get(&first.token)?.unwrap_or_default();
    sessions::forget(&first.token)?;
    let gone = sessions::get(&first.token)?.is_none().to_string();

    shared::set("text", "value", MINUTE)?;
    let text = String::from_utf8(shared::get("text")?.unwrap_or_default()).unwrap_or_default();
    shared::delete("text")?;
    let deleted = shared::get("text")?.is_none().to_string();
    shared::delete("sum")?;
    shared::add("sum", 2, MINUTE)?;
    let sum = shared::add("sum", 3, MINUTE)?.to_string();
    Ok([first.node, again.node, moved.node, held, gone, text, deleted, sum].join("|"))
}

impl Balancer for Everything {
    fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice {
        if request.header("x-want").is_some_and(|wanted| wanted == "reject") {
            return Choice::Reject(503);
        }
        let Some(node) = nodes.find(&self.node) else { return Choice::Abstain };
        // It is too late for that: on-request is called for the next request, too.
        spare::on_request();
        node.set_signal("known", 0.5, MINUTE);
        let count = nodes.count();
        let known = node.signal("known") == Some(0.5)
            && nodes.get(count).is_none()
            && nodes.get(0).is_some_and(|first| first.weight() > 0 && first.in_flight() < 1000)
            && nodes.all().iter().count() == count as usize
            && nodes.sample(1).iter().count() == 1
            && nodes.two_random().iter().count() == 2
            && nodes.least_loaded(2).is_some()
            && nodes.least_loaded(8).is_some()
            && nodes.quicker_of_two().is_some()
            && nodes.estimates(8).iter().all(|node| node.weight() > 0 && node.service().is_none())
            && nodes.soonest(8, 0.0, 4.0).is_some()
            && nodes.by_hash("key").is_some()
            && nodes.by_hash_bounded("key", 125).is_some()
            && nodes.by_client(0) == nodes.by_hash(request.client_address())
            && nodes.by_path(125).is_some()
            && nodes.by_header("x-nobody-sends-it", 0).is_none()
            && nodes.by_cookie("nobody-sends-it", 125).is_none()
            && sessions::bound_by_cookie("nobody-sends-it").is_ok_and(|place| place.is_none())
            && request.pool_hash() != 0
            && node.weight() > 0
            && node.id() == self.node
            && node.zone().as_deref() == Some("a")
            && node.label("version").as_deref() == Some("1")
            && (node.oldest(), node.error_rate()) == (0, 0)
            && node.latency().is_none();
        metrics::gauge("knew_its_nodes", f64::from(u8::from(known)));
        nodes.keep([node]);
        node.into()
    }
}

impl Observer for Everything {
    fn on_complete(&mut self, _request: &Request, outcome: &Outcome) {
        let fine = outcome.status() == Some(200) && outcome.error().is_none() && outcome.node() == self.node;
        metrics::counter(if fine { "attempts_fine" } else { "attempts_not_fine" }, 1);
        metrics::histogram("latency_seconds", outcome.latency().as_secs_f64());
        log::trace("trace");
        log::debug("debug");
        log::info("info");
        log::warn("warn");
        log::error("error");
    }
}

impl Timer for Everything {
    fn schedule(&mut self) -> Schedule {
        Schedule { period: Duration::from_millis(20), scope: Scope::OneWorker }
    }

    fn tick(&mut self) {
        metrics::counter("ticks", 1);
    }
}

bascule_plugin::export!(Everything: lifecycle, router, balancer, filter, observer, timer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PluginTest, json, request, response};

    use super::Everything;

    fn test() -> PluginTest<Everything> {
        let keys = json!({ "name": "front", "node": "node-a" });
        let test = PluginTest::<Everything>::configured(keys).expect("the configuration is right");
        test.node("node-a", |node| node.zone("a").label("version", "1")).node("node-b", |node| node)
    }

    #[test]
    fn it_knows_its_nodes_and_its_stores() {
        let mut test = test();
        assert_eq!(test.pick(&request("GET", "/")), Picked::Node("node-a"));
        assert_eq!(test.gauge("knew_its_nodes"), Some(1.0));
        let seen = test.on_response(&request("GET", "/").node("node-a"), response(200));
        let stores = "node-a|node-a|node-b|node-b|true|value|true|5";
        assert_eq!(seen.response.get("x-front-stores"), Some(stores));
    }
}
