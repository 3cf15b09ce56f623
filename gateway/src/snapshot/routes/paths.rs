//! The paths of one host: exact ones, and prefixes that end where a segment does.

use std::collections::HashMap;
use std::iter::successors;

use foldhash::fast::FixedState;
use memchr::memrchr;

use super::PathPattern;

/// Routes by path; those of one path stand in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct Paths {
    exact: Table,
    prefixes: Table,
}

/// The length of the longest path bounds what a lookup reads of a request's path, which may be thousands of slashes.
#[derive(Debug, Default)]
struct Table {
    routes: HashMap<Box<[u8]>, Vec<u32>, FixedState>,
    longest: usize,
}

impl Paths {
    /// Adds a route behind those of the same path.
    pub(super) fn add(&mut self, path: &PathPattern, route: u32) {
        let (table, path) = match path {
            PathPattern::Exact(path) => (&mut self.exact, path),
            PathPattern::Prefix(path) => (&mut self.prefixes, path),
        };
        table.longest = table.longest.max(path.len());
        table.routes.entry(path.as_bytes().into()).or_default().push(route);
    }

    /// The first route that holds, of the exact path, then of the longest prefix, and so on.
    pub(super) fn find(&self, path: &[u8], holds: &impl Fn(u32) -> bool) -> Option<u32> {
        let exact = || self.exact.find(path, holds);
        let by_prefix =
            || prefixes(path, self.prefixes.longest).find_map(|prefix| self.prefixes.find(prefix, holds));
        exact().or_else(by_prefix)
    }
}

impl Table {
    fn find(&self, path: &[u8], holds: &impl Fn(u32) -> bool) -> Option<u32> {
        if path.len() > self.longest || self.routes.is_empty() {
            return None;
        }
        self.routes.get(path)?.iter().copied().find(|&route| holds(route))
    }
}

/// The path and what is left of it as segments are cut off from its end, without the slash in between; none is longer
/// than `longest`, and the last is empty.
fn prefixes(path: &[u8], longest: usize) -> impl Iterator<Item = &[u8]> {
    let cut = |path: &[u8]| memrchr(b'/', path).unwrap_or(0);
    let first = if path.len() <= longest { path } else { &path[..cut(&path[..=longest])] };
    successors(Some(first), move |path| (!path.is_empty()).then(|| &path[..cut(path)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_its_segments() {
        let cuts = |path: &'static str, longest| -> Vec<&'static str> {
            prefixes(path.as_bytes(), longest)
                .map(|prefix| std::str::from_utf8(prefix).expect("cut at a slash"))
                .collect()
        };
        assert_eq!(cuts("/a/b", 100), ["/a/b", "/a", ""]);
        assert_eq!(cuts("/a/b", 3), ["/a", ""]);
        assert_eq!(cuts("/a/b", 2), ["/a", ""]);
        assert_eq!(cuts("/a/b", 0), [""]);
        assert_eq!(cuts("/a//b/", 100), ["/a//b/", "/a//b", "/a/", "/a", ""]);
        assert_eq!(cuts("/", 100), ["/", ""]);
        assert_eq!(cuts("*", 100), ["*", ""]);
        assert_eq!(cuts("", 100), [""]);
        assert_eq!(
            prefixes(&[b'/'; 8000], 20).count(),
            21,
            "a hostile path costs no more than the longest prefix"
        );
    }
}
