//! Sends some requests to another pool: by path, header, cookie, or a share of them. Canaries and A/B tests.
//!
//! Rules are tried in order and the first that matches decides. A share is stable: the same client is always in it or
//! always out of it, and a share that grows keeps those who were in.

use std::collections::BTreeMap;

use bascule_plugin::prelude::*;

/// The keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    rules: Vec<Rule>,
}

/// One rule: all its conditions have to hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    pool: String,
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: BTreeMap<String, String>,
    percent: Option<f64>,
    by: Option<By>,
}

/// What decides whether a request is in the share.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    /// The client's address.
    Client,
    /// Chance, for each request anew.
    Random,
    /// The value of a header; where it is missing, the client's address.
    Header(String),
    /// The value of a cookie; where it is missing, the client's address.
    Cookie(String),
}

/// The router.
#[derive(Debug)]
pub struct PathRouter(Vec<Rule>);

impl Lifecycle for PathRouter {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.rules.is_empty() {
            let example = "rules = [{ pool = \"canary\", percent = 5 }]";
            return Err(["rules: there is none; write for example: ", example].concat());
        }
        for (place, rule) in config.rules.iter().enumerate() {
            rule.check().map_err(|why| ["rules[", &place.to_string(), "]", why].concat())?;
        }
        Ok(Self(config.rules))
    }
}

impl Router for PathRouter {
    fn route(&mut self, request: &Request) -> Decision {
        match self.0.iter().find(|rule| rule.matches(request)) {
            Some(rule) => Decision::Pool(rule.pool.clone()),
            None => Decision::GoOn,
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), &'static str> {
        let conditions = self.headers.len() + self.cookies.len();
        if self.pool.is_empty() {
            return Err(".pool: it is empty; write the name of a pool");
        }
        if conditions == 0 && self.path.is_none() && self.percent.is_none() {
            return Err(": it has no condition; write path, headers, cookies or percent");
        }
        if self.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(".path: it does not start with `/`; write for example \"/shop\"");
        }
        if self.percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err(".percent: write a number from 0 to 100");
        }
        if self.by.is_some() && self.percent.is_none() {
            return Err(".by: it says who is in a share, and there is none; write percent as well");
        }
        Ok(())
    }

    /// Cheap conditions first.
    fn matches(&self, request: &Request) -> bool {
        self.path.as_ref().is_none_or(|prefix| is_under(&request.path(), prefix.as_bytes()))
            && self.headers.iter().all(|(name, wanted)| is(request.header(name), wanted))
            && self.cookies.iter().all(|(name, wanted)| is(request.cookie(name), wanted))
            && self.percent.is_none_or(|percent| self.draw(request) < percent)
    }

    /// Where the request stands from 0 up to 100. Rules draw apart from each other, since each is salted with its pool:
    /// otherwise those in the first share would be the first in every other.
    fn draw(&self, request: &Request) -> f64 {
        let key = match &self.by {
            Some(By::Random) => return position(random::bits()),
            Some(By::Header(name)) => request.header(name),
            Some(By::Cookie(name)) => request.cookie(name),
            Some(By::Client) | None => None,
        };
        let key = key.filter(|value| !value.is_empty()).unwrap_or_else(|| request.client_address().into());
        position(hash(&[self.pool.as_bytes(), b"\0", &key]))
    }
}

/// A header or cookie is as wanted: this value, or any for "*".
fn is(value: Option<Value>, wanted: &str) -> bool {
    value.is_some_and(|value| wanted == "*" || value == *wanted)
}

/// A path is under a prefix of whole segments: /shop and /shop/x, not /shopping.
fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?')))
}

fn position(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64 * 100.0
}

/// FNV-1a, and a last mix (splitmix64's), since FNV leaves the high bits of short keys alike.
fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

bascule_plugin::export!(PathRouter: lifecycle, router);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{JsonValue, PluginTest, TestRequest, json, request};

    use super::PathRouter;

    fn router(rules: &JsonValue) -> PluginTest<PathRouter> {
        PluginTest::configured(json!({ "rules": rules })).expect("the configuration is right")
    }

    /// The pool that a request goes to; none is the route's own.
    fn pool(test: &mut PluginTest<PathRouter>, request: &TestRequest) -> Option<String> {
        test.route(request).pool().map(str::to_owned)
    }

    /// Which of 10,000 clients are in the share of "canary".
    fn clients_in(test: &mut PluginTest<PathRouter>) -> Vec<u32> {
        let client = |id: &u32| {
            let request = request("GET", "/").from(&format!("10.0.{}.{}", id / 250, id % 250));
            pool(test, &request).as_deref() == Some("canary")
        };
        (0..10_000).filter(client).collect()
    }

    #[test]
    fn by_header() {
        let mut test = router(&json!([{ "pool": "beta", "headers": { "x-beta": "1" } }]));
        let get = request("GET", "/");
        assert_eq!(pool(&mut test, &get.clone().header("X-Beta", "1")).as_deref(), Some("beta"));
        assert_eq!(pool(&mut test, &get.clone().header("x-beta", "2")), None);
        assert_eq!(pool(&mut test, &get), None);
    }

    #[test]
    fn by_cookie_of_any_value() {
        let mut test = router(&json!([{ "pool": "beta", "cookies": { "beta": "*" } }]));
        let get = request("GET", "/");
        assert_eq!(pool(&mut test, &get.clone().cookie("beta", "x")).as_deref(), Some("beta"));
        assert_eq!(pool(&mut test, &get.cookie("alpha", "x")), None);
    }

    #[test]
    fn by_path_in_whole_segments() {
        let mut test = router(&json!([{ "pool": "shop", "path": "/shop" }]));
        for (path, goes) in
            [("/shop", true), ("/shop/a", true), ("/shop?a", true), ("/shopping", false), ("/", false)]
        {
            assert_eq!(pool(&mut test, &request("GET", path)).is_some(), goes, "{path}");
        }
        let mut all = router(&json!([{ "pool": "all", "path": "/" }]));
        assert_eq!(pool(&mut all, &request("GET", "/any")).as_deref(), Some("all"));
    }

    #[test]
    fn all_conditions_of_a_rule_have_to_hold() {
        let mut test = router(&json!([{ "pool": "b", "path": "/a", "headers": { "x": "1" } }]));
        assert_eq!(pool(&mut test, &request("GET", "/a")), None);
        assert_eq!(pool(&mut test, &request("GET", "/a").header("x", "1")).as_deref(), Some("b"));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let mut test = router(&json!([
            { "pool": "one", "headers": { "x": "1" } },
            { "pool": "two", "percent": 100 },
        ]));
        assert_eq!(pool(&mut test, &request("GET", "/").header("x", "1")).as_deref(), Some("one"));
        assert_eq!(pool(&mut test, &request("GET", "/")).as_deref(), Some("two"));
    }

    #[test]
    fn a_share_is_as_large_as_it_says_and_keeps_its_clients() {
        let mut five = router(&json!([{ "pool": "canary", "percent": 5 }]));
        let mut twenty = router(&json!([{ "pool": "canary", "percent": 20 }]));
        let (few, more) = (clients_in(&mut five), clients_in(&mut twenty));
        assert!((400..600).contains(&few.len()), "{} of 10,000 for 5 %", few.len());
        assert!((1850..2150).contains(&more.len()), "{} of 10,000 for 20 %", more.len());
        assert_eq!(clients_in(&mut five), few, "the same clients again");
        assert!(few.iter().all(|client| more.contains(client)), "a share that grows keeps its clients");
    }

    #[test]
    fn shares_of_different_rules_are_drawn_apart() {
        let mut test = router(&json!([
            { "pool": "other", "percent": 10 },
            { "pool": "canary", "percent": 10 },
        ]));
        let canary = clients_in(&mut test).len();
        assert!((800..1000).contains(&canary), "10 % of the 9,000 that are left, not {canary}");
    }

    #[test]
    fn a_share_by_cookie_ignores_the_address() {
        let mut test = router(&json!([{ "pool": "b", "percent": 50, "by": { "cookie": "user" } }]));
        for user in 0..100 {
            let visit = |address| request("GET", "/").cookie("user", &user.to_string()).from(address);
            assert_eq!(pool(&mut test, &visit("10.0.0.1")), pool(&mut test, &visit("10.9.9.9")));
        }
    }

    #[test]
    fn without_the_cookie_a_share_goes_by_address() {
        let mut test = router(&json!([{ "pool": "canary", "percent": 50, "by": { "cookie": "user" } }]));
        let canary = clients_in(&mut test).len();
        assert!((4700..5300).contains(&canary), "{canary}");
    }

    #[test]
    fn a_random_share_draws_for_each_request() {
        let mut test = router(&json!([{ "pool": "canary", "percent": 30, "by": "random" }]));
        let hits = (0..5000).filter(|_| pool(&mut test, &request("GET", "/")).is_some()).count();
        assert!((1350..1650).contains(&hits), "{hits}");
    }

    #[test]
    fn nothing_and_everything_are_shares() {
        assert_eq!(clients_in(&mut router(&json!([{ "pool": "canary", "percent": 0 }]))).len(), 0);
        assert_eq!(clients_in(&mut router(&json!([{ "pool": "canary", "percent": 100 }]))).len(), 10_000);
    }

    #[test]
    fn wrong_rules_are_refused() {
        let error = |config| PluginTest::<PathRouter>::configured(config).expect_err("it is wrong");
        let rule = |rule| error(json!({ "rules": [{ "pool": "a", "percent": 1 }, rule] }));
        assert_eq!(
            error(json!({ "rules": [] })),
            "rules: there is none; write for example: rules = [{ pool = \"canary\", percent = 5 }]"
        );
        assert_eq!(error(json!({})), "missing key `rules`");
        assert_eq!(rule(json!({ "percent": 5 })), "rules[1]: missing key `pool`");
        assert_eq!(
            rule(json!({ "pool": "b" })),
            "rules[1]: it has no condition; write path, headers, cookies or percent"
        );
        assert_eq!(
            rule(json!({ "pool": "b", "percent": 101 })),
            "rules[1].percent: write a number from 0 to 100"
        );
        assert_eq!(
            rule(json!({ "pool": "b", "path": "shop" })),
            "rules[1].path: it does not start with `/`; write for example \"/shop\""
        );
        assert_eq!(
            rule(json!({ "pool": "b", "path": "/b", "by": "client" })),
            "rules[1].by: it says who is in a share, and there is none; write percent as well"
        );
        assert_eq!(
            rule(json!({ "pool": "b", "header": "x" })),
            "rules[1].header: unknown key `header`, expected one of `pool`, `path`, `headers`, `cookies`, `percent`, `by`"
        );
    }
}
