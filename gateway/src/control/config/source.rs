//! Reads the files of a configuration: the one that was named, and what it includes.
//!
//! The only module that touches the system, and only through [`Outside`]. It knows one key, `include`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{At, Error, Place};
use super::file::File;
use super::reading::{Key, Outside, Reading, Value};

/// Files that include files that include files: more is a circle through links.
const MAX_DEPTH: usize = 16;

/// The system itself.
pub struct System;

impl Outside for System {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, folder: &Path) -> std::io::Result<Vec<String>> {
        // A name that is not UTF-8 cannot match a pattern, which is.
        std::fs::read_dir(folder)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn environment(&self, name: &str) -> Result<String, std::env::VarError> {
        std::env::var(name)
    }
}

/// What was read.
pub(super) struct Sources {
    /// Each file's start and tables; the first is the one that was named.
    pub(super) files: Vec<(Place, File)>,
    pub(super) errors: Vec<Error>,
    /// Whether every file could be read, so that a name which is not there is really nowhere.
    pub(super) complete: bool,
}

/// Reads the file and all that it includes; a file that is included twice is read once.
pub(super) fn read_all(path: &Path, outside: &dyn Outside) -> Sources {
    let mut sources = Sources { files: Vec::new(), errors: Vec::new(), complete: true };
    let mut seen = BTreeSet::new();
    // A stack, so that a file's includes stand before its sibling's.
    let mut open = vec![(path.to_owned(), None, 0)];
    while let Some((path, included_at, depth)) = open.pop() {
        if !seen.insert(plain(&path)) {
            continue;
        }
        let Some(text) = sources.text(&path, included_at.as_ref(), outside) else {
            continue;
        };
        let start = Place::start_of(path.display().to_string(), text);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut reading = Reading { outside, start: start.clone(), folder, errors: Vec::new() };
        let file = sources.tables(&mut reading);
        let mut included = Vec::new();
        if let Key::Is(patterns) = &file.include {
            for pattern in &patterns.items {
                if depth == MAX_DEPTH {
                    let error =
                        Error::new(&pattern.place, format!("more than {MAX_DEPTH} files include each other"));
                    reading.errors.push(error.note("leave this out: it seems to be a circle"));
                    continue;
                }
                let found = matching(pattern, &mut reading);
                sources.complete &= found.is_some();
                included.extend(
                    found.into_iter().flatten().map(|path| (path, Some(pattern.place.clone()), depth + 1)),
                );
            }
        }
        open.extend(included.into_iter().rev());
        sources.errors.append(&mut reading.errors);
        sources.files.push((start, file));
    }
    sources
}

impl Sources {
    /// The file's text; notes why there is none.
    fn text(&mut self, path: &Path, included_at: Option<&Place>, outside: &dyn Outside) -> Option<String> {
        let name = path.display().to_string();
        let (place, what, write) = match outside.read(path).map(String::from_utf8) {
            Ok(Ok(text)) => return Some(text),
            Ok(Err(error)) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let place = Place::start_of(name, text).with_span(at..at + 1);
                (place, "this is not UTF-8 text".to_owned(), "save the file as UTF-8")
            }
            Err(error) => {
                let place =
                    included_at.cloned().unwrap_or_else(|| Place::start_of(name.clone(), String::new()));
                (place, format!("{name} cannot be read: {error}"), "create it, or name another file")
            }
        };
        self.complete = false;
        self.errors.push(Error::new(&place, what).note(write));
        None
    }

    /// The file's tables, and every error in them. After a mistake in its syntax the rest is too uncertain to judge.
    fn tables(&mut self, reading: &mut Reading<'_>) -> File {
        let start = reading.start.clone();
        let (table, syntax) = DeTable::parse_recoverable(start.source_text());
        if syntax.is_empty() {
            let root = toml::Spanned::new(table.span(), DeValue::Table(table.into_inner()));
            return File::read(&root, reading).unwrap_or_default();
        }
        self.complete = false;
        let mut header_twice = false;
        for error in syntax {
            let place = start.with_span(error.span().unwrap_or(0..0));
            if error.message() != "duplicate key" {
                let what =
                    format!("this is not TOML: {}", error.message().trim_end_matches(", expected nothing"));
                reading
                    .errors
                    .push(Error::new(&place, what).note("names, addresses and durations stand in quotes; https://toml.io says how the rest is written"));
                continue;
            }
            let first = place.earlier_twin();
            // Keys below a table that is written twice meet those of the first; the table's error is enough.
            if first.is_some() || !header_twice {
                let mut error = Error::new(&place, format!("`{}` is written twice", place.text()));
                if let Some(first) = first {
                    error = error.note(format!("the first is at {first}"));
                }
                reading.errors.push(error.note("leave one of them out, or give it another name"));
            }
            header_twice |= place.is_in_header();
        }
        File::default()
    }
}

/// The files that an `include` means, sorted; notes an error if it can mean none.
fn matching(pattern: &At<String>, reading: &mut Reading<'_>) -> Option<Vec<PathBuf>> {
    let (folder, name) = pattern.rsplit_once('/').map_or(("", pattern.as_str()), |(folder, name)| {
        (if folder.is_empty() { "/" } else { folder }, name)
    });
    let mut wrong = |what: String, write: &str| {
        reading.errors.push(Error::new(&pattern.place, what).note(write));
        None
    };
    if folder.contains('*') || name.is_empty() {
        return wrong(
            format!("{:?} cannot be included", pattern.value),
            "write a file, or a pattern of files in one folder: \"conf.d/*.toml\"",
        );
    }
    let folder = reading.folder.join(folder);
    if !name.contains('*') {
        return Some(vec![folder.join(name)]);
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    match reading.outside.list(listed) {
        Ok(mut names) => {
            names.retain(|found| matches(name, found));
            names.sort();
            Some(names.into_iter().map(|name| folder.join(name)).collect())
        }
        Err(error) => wrong(
            format!("the folder {} cannot be read: {error}", folder.display()),
            "create it, or leave this include out",
        ),
    }
}

/// Whether a file's name fits a pattern; "*" stands for any text, but does not show hidden files.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// The path without "." and "..", as far as that can be told without the file system.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml.bak", false),
            ("*.toml", ".a.toml", false),
            ("pool-*.toml", "pool-.toml", true),
            ("a*a", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "ac", false),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{name} in {pattern}");
        }
    }

    #[test]
    fn a_path_is_known_again() {
        for (path, expected) in
            [("./a/../b.toml", "b.toml"), ("../a.toml", "../a.toml"), ("/x/./y/../../z", "/z")]
        {
            assert_eq!(plain(Path::new(path)), Path::new(expected));
        }
    }
}
