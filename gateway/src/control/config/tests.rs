//! The configuration from end to end: golden texts of errors, the samples, and arbitrary input.
#![allow(clippy::unwrap_used)]

mod documented;
mod golden;
mod meaning;
mod property;

use std::collections::BTreeMap;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Errors, Outside, load_from};

/// Files and an environment that exist only here.
#[derive(Default)]
struct Invented {
    files: BTreeMap<PathBuf, Vec<u8>>,
    environment: BTreeMap<String, String>,
}

impl Invented {
    fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), text.as_ref().to_vec());
        self
    }

    fn load(&self) -> Result<Config, Errors> {
        load_from(Path::new("bascule.toml"), self)
    }
}

impl Outside for Invented {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = self.files.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn environment(&self, name: &str) -> Result<String, VarError> {
        self.environment.get(name).cloned().ok_or(VarError::NotPresent)
    }
}

/// A listener, and then this.
fn load(text: &str) -> Result<Config, Errors> {
    let text = format!("{text}\n[listener.public]\naddress = \"127.0.0.1:8080\"\n");
    Invented::default().file("bascule.toml", text).load()
}
