//! Sets, adds and removes header fields of requests and responses, with values that can name the client, the route,
//! the node and more.
//!
//! Everything that can be wrong is found when the configuration is read. A value without variables is a plain text by
//! then, so most rewrites cost one call to the gateway each.

mod template;

use std::collections::BTreeMap;

use bascule_plugin::prelude::*;
use template::{Phase, Template};

/// The keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    request: Edits,
    response: Edits,
}

/// What is done to one direction.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Edits {
    set: BTreeMap<String, String>,
    add: BTreeMap<String, String>,
    remove: Vec<String>,
}

/// The filter.
#[derive(Debug)]
pub struct HeaderRewrite {
    request: Vec<Edit>,
    response: Vec<Edit>,
}

/// The gateway takes no more edits from one call.
const MOST_EDITS: usize = 64;

/// One edit; they are made in this order.
#[derive(Debug)]
enum Edit {
    Remove(String),
    Set(String, Template),
    Add(String, Template),
}

impl Lifecycle for HeaderRewrite {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let request = plan(config.request, Phase::Request).map_err(|why| ["request.", &why].concat())?;
        let response = plan(config.response, Phase::Response).map_err(|why| ["response.", &why].concat())?;
        if request.is_empty() && response.is_empty() {
            return Err(
                "nothing to rewrite; write for example: request = { set = { \"x-edge\" = \"1\" } }".into()
            );
        }
        if request.is_empty() {
            spare::on_request();
        }
        Ok(Self { request, response })
    }
}

impl Filter for HeaderRewrite {
    fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
        for edit in &self.request {
            done(match edit {
                Edit::Remove(name) => request.remove_header(name),
                Edit::Set(name, value) => request.set_header(name, value.fill(request)),
                Edit::Add(name, value) => request.add_header(name, value.fill(request)),
            });
        }
        if self.response.is_empty() { Verdict::Done } else { Verdict::GoOn }
    }

    fn on_response(&mut self, request: &Request, response: &mut ResponseMut) -> Verdict {
        for edit in &self.response {
            done(match edit {
                Edit::Remove(name) => response.remove_header(name),
                Edit::Set(name, value) => response.set_header(name, value.fill(request)),
                Edit::Add(name, value) => response.add_header(name, value.fill(request)),
            });
        }
        Verdict::GoOn
    }
}

/// An edit that the gateway refuses is a fault: the use's `on_fault` says whether the request goes on without it. To
/// forward a request as if it had been rewritten could hand a client's own field to a node that trusts it.
fn done(edit: Result<(), Refused>) {
    if let Err(Refused(why)) = edit {
        panic!("{why}");
    }
}

fn plan(edits: Edits, phase: Phase) -> Result<Vec<Edit>, String> {
    if edits.remove.len() + edits.set.len() + edits.add.len() > MOST_EDITS {
        return Err("set, add and remove: together they may have 64 lines; split them over two uses".into());
    }
    let mut plan = Vec::new();
    for name in edits.remove {
        check(&name).map_err(|why| ["remove: ", &why].concat())?;
        plan.push(Edit::Remove(name));
    }
    for (name, text) in edits.set {
        let value = value(&name, &text, phase).map_err(|why| ["set.", &name, ": ", &why].concat())?;
        plan.push(Edit::Set(name, value));
    }
    for (name, text) in edits.add {
        let value = value(&name, &text, phase).map_err(|why| ["add.", &name, ": ", &why].concat())?;
        plan.push(Edit::Add(name, value));
    }
    Ok(plan)
}

fn value(name: &str, text: &str, phase: Phase) -> Result<Template, String> {
    check(name)?;
    Template::parse(text, phase)
}

/// Names that frame a message or belong to one connection (RFC 9110, 7.6.1; RFC 9112, 6).
const GATEWAYS_OWN: [&str; 9] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn check(name: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(["`", name, "` is no header name; write letters, digits and -"].concat());
    }
    if GATEWAYS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(
            ["`", name, "` belongs to the connection, which the gateway keeps; take the line out"].concat()
        );
    }
    Ok(())
}

bascule_plugin::export!(HeaderRewrite: lifecycle, filter);

#[cfg(test)]
mod tests;
