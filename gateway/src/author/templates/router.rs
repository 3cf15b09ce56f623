//! Sends requests that have a header field to another pool: `config = { header = "x-beta", pool = "beta" }`.

use bascule_plugin::prelude::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginName {
    header: String,
    pool: String,
}

impl Lifecycle for PluginName {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, String> {
        Ok(config)
    }
}

impl Router for PluginName {
    fn route(&mut self, request: &Request) -> Decision {
        match request.header(&self.header) {
            Some(_) => Decision::Pool(self.pool.clone()),
            None => Decision::GoOn, // to the route's own pool
        }
    }
}

bascule_plugin::export!(PluginName: lifecycle, router);

#[cfg(test)]
mod tests {
    use super::PluginName;
    use bascule_plugin::testing::{PluginTest, json, request};

    #[test]
    fn who_has_the_header_goes_to_the_other_pool() {
        let config = json!({ "header": "x-beta", "pool": "beta" });
        let mut test = PluginTest::<PluginName>::configured(config).expect("it is right");
        assert_eq!(test.route(&request("GET", "/").header("x-beta", "1")).pool(), Some("beta"));
        assert_eq!(test.route(&request("GET", "/")).pool(), None);
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = PluginTest::<PluginName>::configured(json!({ "haeder": "x-beta" })).err();
        assert!(error.expect("it is wrong").contains("haeder"));
    }
}
