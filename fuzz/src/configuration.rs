//! Configuration files: there is always an answer, it is the same each time, each error says where, and no secret shows.

use std::env::VarError;
use std::io;
use std::path::Path;

use crate::control::config::{Errors, Outside, load_from};

const FILE: &str = "bascule.toml";
/// What each variable of the environment holds.
const SECRET: &str = "nobody may read this word: xyzzy-plugh-0123456789-abcdefghijklmnop";

/// A system with one file.
struct Invented<'a>(&'a [u8]);

impl Outside for Invented<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new(FILE) { Ok(self.0.to_vec()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn list(&self, _folder: &Path) -> io::Result<Vec<String>> {
        Ok(vec![FILE.to_owned()])
    }

    fn environment(&self, name: &str) -> Result<String, VarError> {
        if name.starts_with('X') { Err(VarError::NotPresent) } else { Ok(SECRET.to_owned()) }
    }
}

/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    let read = || load_from(Path::new(FILE), &Invented(data));
    let shown = match read() {
        Ok(config) => {
            assert!(!config.listeners.is_empty(), "a gateway that nobody can reach");
            format!("{config:?}")
        }
        Err(errors) => {
            places_exist(&errors, data);
            errors.to_string()
        }
    };
    assert!(
        !shown.contains("xyzzy-plugh") || data.windows(5).any(|word| word == b"xyzzy"),
        "a secret shows: {shown}"
    );
    let again = match read() {
        Ok(config) => format!("{config:?}"),
        Err(errors) => errors.to_string(),
    };
    assert_eq!(shown, again, "it reads another way the second time");
}

fn places_exist(errors: &Errors, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(errors.count() > 0);
    for error in errors.iter() {
        let (line, column) = error.place().line_and_column();
        let length = line.checked_sub(1).and_then(|line| lines.get(line)).map(|line| line.chars().count());
        assert!(length.is_some_and(|length| (1..=length + 1).contains(&column)), "no such place: {error}");
    }
}
