//! The words of the configuration: what each role can do wrong.

use bascule_plugin::prelude::*;

use crate::mischief::Mischief;

/// What it does, for each role; left out, the role behaves. Words are checked in `configure`, so that a misspelt test
/// fails instead of testing nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub(crate) configure: Option<Configure>,
    pub(crate) route: Option<Route>,
    pub(crate) pick: Option<Pick>,
    pub(crate) on_request: Option<Filtering>,
    pub(crate) on_response: Option<Filtering>,
    pub(crate) on_complete: Option<Mischief>,
    pub(crate) period: Option<Period>,
    pub(crate) tick: Option<Mischief>,
    /// The role (by its key) whose word the request itself says, in the header `x-mischief`.
    pub(crate) ask: Option<String>,
    /// It misbehaves on each such call only, counted for each role in the instance.
    pub(crate) every: u32,
    /// It misbehaves only on requests with this header.
    pub(crate) when: Option<String>,
    /// Whether it misbehaves in the trial that the gateway makes before it takes a plugin. Or else it is taken, and
    /// misbehaves when requests come.
    pub(crate) trial: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            configure: None,
            route: None,
            pick: None,
            on_request: None,
            on_response: None,
            on_complete: None,
            period: None,
            tick: None,
            ask: None,
            every: 1,
            when: None,
            trial: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Configure {
    Error,
    #[serde(untagged)]
    Break(Mischief),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Route {
    NoSuchPool,
    #[serde(rename = "answer-403")]
    Answer403,
    #[serde(rename = "answer-99")]
    Answer99,
    #[serde(rename = "answer-0")]
    Answer0,
    Redirect,
    RedirectCrlf,
    #[serde(untagged)]
    Break(Mischief),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pick {
    OutOfRange,
    #[serde(rename = "node-0")]
    Node0,
    Abstain,
    #[serde(rename = "reject-503")]
    Reject503,
    #[serde(rename = "reject-99")]
    Reject99,
    #[serde(rename = "reject-0")]
    Reject0,
    KeepNonsense,
    #[serde(untagged)]
    Break(Mischief),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Filtering {
    Crlf,
    Framing,
    BadName,
    ManyHeaders,
    MillionHeaders,
    HugeHeader,
    BadPath,
    BadStatus,
    EditThenTrap,
    SetHost,
    #[serde(rename = "answer-403")]
    Answer403,
    #[serde(rename = "answer-99")]
    Answer99,
    #[serde(rename = "answer-0")]
    Answer0,
    AnswerHuge,
    #[serde(untagged)]
    Break(Mischief),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Period {
    Zero,
    #[serde(untagged)]
    Break(Mischief),
}
