//! Errors that point at the text: file, line, column, the line itself, what is wrong and what to write.
//!
//! A [`Place`] carries its source, so that a later step (a plugin that is not in the folder, an address that cannot be
//! bound) can point at the configuration too. Nothing here knows what a configuration says.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// How many characters of a long line are shown before the place, and in all: a terminal's width.
const BEFORE: usize = 80;
const SHOWN: usize = 120;

/// A text with a name, which places point into.
struct Source {
    name: String,
    text: String,
}

/// A place in a configuration file. Its `Debug` and `Display` are `file:line:column`, never the text.
#[derive(Clone)]
pub struct Place {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Place {
    /// The start of a new source: all places of one source are made from this one.
    pub(super) fn start_of(name: String, text: String) -> Self {
        Self { source: Arc::new(Source { name, text }), start: 0, end: 0 }
    }

    /// Another place in the same source, in bytes.
    pub(super) fn with_span(&self, span: Range<usize>) -> Self {
        Self { source: self.source.clone(), start: span.start, end: span.end }
    }

    /// The file, as it was named by the command line or by an `include`.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let (line, before, _) = self.split();
        (line, before.chars().count() + 1)
    }

    /// Whether both are the same place.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.start == other.start
    }

    /// What stands there.
    pub(super) fn text(&self) -> &str {
        let text = &self.source.text;
        &text[text.floor_char_boundary(self.start)..text.floor_char_boundary(self.end.max(self.start))]
    }

    /// Whether the line is a table's header.
    pub(super) fn is_in_header(&self) -> bool {
        self.split().1.trim_start().starts_with('[')
    }

    /// The text of the whole source.
    pub(super) fn source_text(&self) -> &str {
        &self.source.text
    }

    /// Where the same table or key stands on an earlier line: what TOML's "duplicate key" does not tell.
    pub(super) fn earlier_twin(&self) -> Option<Self> {
        let bare = |line: &'_ str| line.split_once('#').map_or(line, |(line, _)| line).trim().to_owned();
        let key = |line: &'_ str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
        let text = &self.source.text[..self.source.text.floor_char_boundary(self.start)];
        let start = text.rfind('\n').map_or(0, |newline| newline + 1);
        let this = self.source.text[start..].lines().next()?;
        let is_header = self.is_in_header();
        let mut end = start;
        for line in text[..start].split_inclusive('\n').rev() {
            end -= line.len();
            let twin = if is_header {
                bare(line) == bare(this)
            } else {
                key(line).is_some() && key(line) == key(this)
            };
            if twin {
                let indent = |line: &str| line.len() - line.trim_start().len();
                let at = end + indent(line) + (self.start - start).saturating_sub(indent(this));
                return Some(self.with_span(at..at));
            }
            if !is_header && bare(line).starts_with('[') {
                return None;
            }
        }
        None
    }

    /// The number of the line, its part before the place, and the rest of it.
    fn split(&self) -> (usize, &str, &str) {
        let text = self.source.text.as_str();
        let at = text.floor_char_boundary(self.start);
        let (before, after) = text.split_at(at);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let number = before.matches('\n').count() + 1;
        (number, &before[line_start..], after.lines().next().unwrap_or(""))
    }

    /// The line with a mark below the place; nothing where there is nothing to see.
    fn excerpt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, before, after) = self.split();
        if before.trim().is_empty() && after.trim().is_empty() {
            return Ok(());
        }
        let skipped = before.chars().count().saturating_sub(BEFORE);
        let start = before.chars().skip(skipped).map(visible);
        let (dots, start): (_, String) = (if skipped > 0 { "…" } else { "" }, start.collect());
        let room = SHOWN - start.chars().count();
        let rest: String = after.chars().take(room).map(visible).collect();
        let cut = if after.chars().count() > room { "…" } else { "" };
        // A tab stays a tab, so that the mark stands below what it marks.
        let blank: String =
            dots.chars().chain(start.chars()).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marks =
            self.text().lines().next().unwrap_or("").chars().count().clamp(1, rest.chars().count().max(1));
        let gutter = " ".repeat(number.to_string().len());
        writeln!(
            f,
            "{gutter} |\n{number} | {dots}{start}{rest}{cut}\n{gutter} | {blank}{}",
            "^".repeat(marks)
        )
    }
}

/// A character that cannot move the cursor.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value and the place where it was written. Two are equal if their values are: moving a line changes nothing.
#[derive(Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T> At<T> {
    /// A value that was written at this place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for At<T> {}

impl<T: fmt::Debug> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// One thing that is wrong, where it is, and what to write instead. `Display` is several lines, for people.
#[derive(Debug, Clone)]
pub struct Error {
    place: Place,
    what: String,
    notes: Vec<String>,
}

impl Error {
    /// Something is wrong at this place; `what` is a sentence without its full stop.
    pub fn new(place: &Place, what: impl Into<String>) -> Self {
        Self { place: place.clone(), what: what.into(), notes: Vec::new() }
    }

    /// Adds a line below: what to write, or where the other half of the trouble is.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Where it is wrong.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The same on one line, for logs: place, what is wrong, and in brackets what to write.
    pub fn line(&self) -> String {
        let notes =
            if self.notes.is_empty() { String::new() } else { format!(" ({})", self.notes.join("; ")) };
        one_line(&format!("{}: {}{notes}", self.place, self.what))
    }
}

/// A text without line ends, of which plugins' own words may have some.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.what)?;
        self.place.excerpt(f)?;
        let gutter = " ".repeat(self.place.line_and_column().0.to_string().len());
        self.notes.iter().try_for_each(|note| writeln!(f, "{gutter} = {note}"))
    }
}

impl std::error::Error for Error {}

/// Everything that is wrong, in the order of the text; never empty.
#[derive(Debug, Clone)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// The errors, sorted by file and place; none if there are none.
    pub fn from_list(mut list: Vec<Error>) -> Option<Self> {
        // Files in the order of their first error's discovery would jump about; by name, the same input reads the same.
        list.sort_by(|a, b| (a.place.file(), a.place.start).cmp(&(b.place.file(), b.place.start)));
        (!list.is_empty()).then_some(Self(list))
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }

    /// How many; at least one.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them on one line, for logs.
    pub fn line(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(Error::line).collect();
        lines.join(" | ")
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error}"))?;
        match self.0.len() {
            1 => write!(f, "1 error in the configuration"),
            many => write!(f, "{many} errors in the configuration"),
        }
    }
}

impl std::error::Error for Errors {}
