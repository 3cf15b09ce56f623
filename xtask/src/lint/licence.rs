//! Reads a package's licence expression (SPDX, and the `MIT/Apache-2.0` of old crates) against a list of allowed ones.
//!
//! Pure text; which licences are allowed is deny.toml's to say.

use anyhow::{Result, bail};

/// Whether `expression` can be met with the licences in `allowed` alone: "A OR B" needs one of them, "A AND B" both.
/// "A WITH x" is a licence of its own and must be allowed by that name.
///
/// # Errors
/// When the expression is malformed.
pub(crate) fn allows(allowed: &[String], expression: &str) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut reader = Reader { words: spaced.split_whitespace().collect(), at: 0, allowed, expression };
    let met = reader.either()?;
    if reader.at < reader.words.len() {
        return reader.malformed();
    }
    Ok(met)
}

/// A recursive descent over the words: OR binds least, then AND, then WITH.
struct Reader<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a [String],
    expression: &'a str,
}

impl<'a> Reader<'a> {
    fn either(&mut self) -> Result<bool> {
        let mut met = self.both()?;
        while self.take("OR") {
            met |= self.both()?;
        }
        Ok(met)
    }

    fn both(&mut self) -> Result<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Ok(met)
    }

    fn one(&mut self) -> Result<bool> {
        if self.take("(") {
            let met = self.either()?;
            return if self.take(")") { Ok(met) } else { self.malformed() };
        }
        let mut name = self.name()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.name()?);
        }
        Ok(self.allowed.contains(&name))
    }

    fn name(&mut self) -> Result<&'a str> {
        match self.words.get(self.at) {
            Some(&word) if !["OR", "AND", "WITH", "(", ")"].contains(&word) => {
                self.at += 1;
                Ok(word)
            }
            _ => self.malformed(),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }

    fn malformed<T>(&self) -> Result<T> {
        bail!("\"{}\" is not a licence expression", self.expression)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        allows(&allowed, expression).expect("well-formed")
    }

    #[test]
    fn either_side_of_or_is_enough() {
        assert!(met("MIT"));
        assert!(met("GPL-3.0 OR MIT"));
        assert!(met("MIT/GPL-3.0"));
        assert!(met("Apache-2.0 / MIT"));
        assert!(!met("GPL-3.0 OR AGPL-3.0"));
    }

    #[test]
    fn and_needs_both_and_binds_tighter_than_or() {
        assert!(!met("MIT AND Unicode-3.0"));
        assert!(met("MIT OR Apache-2.0 AND Unicode-3.0"));
        assert!(!met("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(met("(MIT OR GPL-3.0) AND Apache-2.0"));
    }

    #[test]
    fn an_exception_is_allowed_by_its_whole_name() {
        assert!(met("Apache-2.0 WITH LLVM-exception"));
        assert!(!met("MIT WITH LLVM-exception"));
    }

    #[test]
    fn a_malformed_expression_is_an_error_not_a_yes() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "WITH MIT"] {
            let refused = allows(&["MIT".to_owned()], text).expect_err(text);
            assert!(refused.to_string().contains("is not a licence expression"), "{text}");
        }
    }
}
