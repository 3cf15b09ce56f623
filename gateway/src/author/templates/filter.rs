//! Tells each client which node served it, in the response's field `x-served-by`.

use bascule_plugin::prelude::*;

struct PluginName;

impl Filter for PluginName {
    fn on_response(&mut self, request: &Request, response: &mut ResponseMut) -> Verdict {
        // There is no node where the gateway or a plugin answered.
        let node = request.node().unwrap_or_else(|| "the gateway".to_owned());
        if let Err(why) = response.set_header("x-served-by", node) {
            log::warn(why.to_string());
        }
        Verdict::GoOn
    }
}

bascule_plugin::export!(PluginName: filter);

#[cfg(test)]
mod tests {
    use super::PluginName;
    use bascule_plugin::testing::{FilterTest, request, response};

    #[test]
    fn the_response_names_its_node() {
        let mut test = FilterTest::new(PluginName).nodes(["a"]);
        let seen = test.on_response(&request("GET", "/").node("a"), response(200));
        assert_eq!(seen.response.get("x-served-by"), Some("a"));
    }

    #[test]
    fn what_no_node_answered_says_so() {
        let mut test = FilterTest::new(PluginName);
        let seen = test.on_response(&request("GET", "/"), response(503));
        assert_eq!(seen.response.get("x-served-by"), Some("the gateway"));
    }
}
