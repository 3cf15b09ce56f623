//! Which certificate a name asks for (RFC 6066, 3; RFC 9525, 6.3): an exact name first, then a wildcard for its first
//! label.

use std::collections::HashMap;

/// Places in a list of certificates, by the names that these are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    exact: HashMap<Box<str>, Vec<u16>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Box<str>, Vec<u16>>,
}

impl Names {
    /// Adds a name of the certificate at `place`; a wildcard is written as in the certificate, `*.example.com`.
    pub fn add(&mut self, name: &str, place: u16) {
        let name = name.to_ascii_lowercase();
        let (table, key) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name.as_str()),
        };
        let places = table.entry(key.into()).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }

    /// The certificates for a name, in the order of the list: of several kinds of keys, the client takes what it knows.
    /// A dot at the name's end means nothing.
    pub fn find(&self, name: &str) -> &[u16] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let found = self.exact.get(name.as_str()).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        });
        found.map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names {
        let mut names = Names::default();
        (0..).zip(list).for_each(|(place, name)| names.add(name, place));
        names
    }

    #[test]
    fn an_exact_name_comes_before_a_wildcard() {
        let names = names(&["*.example.com", "api.example.com"]);
        assert_eq!(names.find("api.example.com"), [1]);
        assert_eq!(names.find("www.example.com"), [0]);
    }

    #[test]
    fn a_wildcard_is_for_one_label() {
        let names = names(&["*.example.com"]);
        for other in ["example.com", "a.b.example.com", "com", "", "*"] {
            assert_eq!(names.find(other), [0; 0], "{other}");
        }
    }

    #[test]
    fn case_and_a_dot_at_the_end_mean_nothing() {
        let names = names(&["API.example.com", "*.Other.example"]);
        assert_eq!(names.find("api.EXAMPLE.com."), [0]);
        assert_eq!(names.find("X.other.example"), [1]);
    }

    #[test]
    fn a_name_may_have_certificates_of_several_kinds() {
        let names = names(&["a.example", "a.example"]);
        assert_eq!(names.find("a.example"), [0, 1]);
    }
}
