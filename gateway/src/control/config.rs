//! The configuration: text in, [`Config`] or every error at once out.
//!
//! `file` mirrors the TOML with no logic, `parse` makes newtypes of it, purely. Reading files and the environment goes
//! through [`Outside`], so that a test needs neither. Nothing here opens a socket, loads a plugin or looks up a name:
//! `bascule check` is this module and nothing else.

mod error;
mod nearest;
mod resolved;
mod secret;
mod text;

pub use error::{At, Error, Errors, Place};
pub use nearest::nearest;
pub use resolved::*;
pub use secret::{PluginConfig, Secret};
pub use text::{HeaderName, HeaderValue, HostPattern, Method, NodeAddress, NodeHost, PathPattern, Size};
