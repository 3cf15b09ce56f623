//! What must not be seen: secrets, and plugin configuration that holds some.
//!
//! Neither shows itself in `Debug`, so no log line and no panic message can.

use std::fmt;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one who compares or sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The `config` of a use as JSON, with its secrets in their places.
#[derive(Clone, PartialEq)]
pub struct PluginConfig {
    json: serde_json::Value,
    secret: bool,
}

impl PluginConfig {
    pub(super) fn new(json: serde_json::Value, secret: bool) -> Self {
        Self { json, secret }
    }

    /// The value; always an object.
    pub fn json(&self) -> &serde_json::Value {
        &self.json
    }

    /// Whether a secret is in it, so that it must not be shown.
    pub fn holds_secrets(&self) -> bool {
        self.secret
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self::new(serde_json::Value::Object(serde_json::Map::new()), false)
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret { f.write_str("PluginConfig(…)") } else { write!(f, "PluginConfig({})", self.json) }
    }
}
