//! The configuration: text in, [`Config`] or every error at once out.
//!
//! `file` mirrors the TOML with no logic, `parse` makes newtypes of it, purely. Reading files and the environment goes
//! through [`Outside`], so that a test needs neither. Nothing here opens a socket, loads a plugin or looks up a name:
//! `bascule check` is this module and nothing else.

mod choice;
mod error;
mod file;
mod nearest;
mod parse;
mod reading;
mod resolved;
mod secret;
mod source;
mod text;
mod value;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

pub use error::{At, Error, Errors, Place};
pub use nearest::nearest;
pub use reading::Outside;
pub use resolved::*;
pub use secret::{PluginConfig, Secret};
pub use source::System;
pub use text::{
    HeaderName, HeaderValue, HostPattern, Method, NodeAddress, NodeHost, Origin, PathPattern, Refused, Size,
    Text,
};

/// Reads a configuration file, what it includes, and the secrets that it names.
///
/// # Errors
/// All that is wrong, each with its place and what to write.
pub fn load(path: &Path) -> Result<Config, Errors> {
    load_from(path, &System)
}

/// The same, with files and environment from elsewhere.
///
/// # Errors
/// As [`load`].
pub fn load_from(path: &Path, outside: &dyn Outside) -> Result<Config, Errors> {
    let source::Sources { files, errors, complete } = source::read_all(path, outside);
    let (mut places, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    if places.is_empty() {
        places.push(Place::start_of(path.display().to_string(), String::new()));
    }
    let mut parse = parse::Parse { errors, complete, start: places.swap_remove(0) };
    let config = parse.config(files);
    Errors::from_list(parse.errors).map_or(Ok(config), Err)
}

/// A duration with its unit, as the configuration writes it.
pub(super) fn duration(text: &str) -> Option<Duration> {
    text::Text::parse(text).ok()
}

/// A text as ids, zones and labels of nodes are: what registries say is held to it as well.
///
/// # Errors
/// What is wrong with it.
pub(super) fn word(text: String) -> Result<String, String> {
    let read: Result<text::Word, text::Refused> = text::Text::parse(&text);
    read.map(|word| word.0).map_err(|refused| format!("{}: {}", refused.what, refused.write))
}

impl Config {
    /// What is wrong with the uses, given the names of the files in the folder of plugins.
    ///
    /// # Errors
    /// One for each use that is mentioned and whose file is not there.
    pub fn check_plugin_files(&self, files: &BTreeSet<String>) -> Result<(), Errors> {
        let errors = self.without_files(files).map(|(_, error)| error);
        Errors::from_list(errors.collect()).map_or(Ok(()), Err)
    }

    /// The uses that are mentioned and whose file is not among these, each with what to say of it.
    pub(super) fn without_files(&self, files: &BTreeSet<String>) -> impl Iterator<Item = (&Use, Error)> {
        let missing = self.uses.values().filter(|used| used.mentioned && !files.contains(&used.file.value));
        missing.map(|used| (used, self.missing(used, files)))
    }

    fn missing(&self, used: &Use, files: &BTreeSet<String>) -> Error {
        let folder = self.plugins.directory.display();
        let what = format!(
            "there is no plugin \"{}\": the folder {folder} has no file {}",
            used.name.value, used.file.value
        );
        let stems = files.iter().filter_map(|file| file.strip_suffix(".wasm"));
        let stem = used.file.strip_suffix(".wasm").unwrap_or(&used.file);
        let error = Error::new(&used.file.place, what);
        match nearest(stem, stems) {
            Some(near) if used.file.place.is_same_as(&used.name.place) => {
                error.note(format!("did you mean \"{}\"?", near.replace('_', "-")))
            }
            Some(near) => error.note(format!("did you mean \"{near}.wasm\"?")),
            None => error.note("build it into that folder, or name another with `directory` in [plugins]"),
        }
    }
}

#[cfg(test)]
mod tests;
