//! What was said once is not said again: a node that registers wrongly does so every few seconds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Chosen: far more than are wrong at once, and little memory. Beyond, nothing more is named.
const MOST: usize = 1000;

/// Whom something wrong was said of, and what.
#[derive(Debug, Default)]
pub(super) struct Named(Mutex<BTreeMap<String, String>>);

impl Named {
    /// Whether this is news of them.
    pub(super) fn is_news(&self, whom: &str, what: &str) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = named.len() >= MOST;
        match named.get(whom) {
            Some(said) if said == what => return false,
            None if is_full => return false,
            _ => {}
        }
        named.insert(whom.to_owned(), what.to_owned());
        true
    }

    /// Nothing is wrong with them any more.
    pub(super) fn is_well(&self, whom: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(whom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_news_once_until_it_is_put_right() {
        let named = Named::default();
        assert!(named.is_news("api/a", "no port"));
        assert!(!named.is_news("api/a", "no port"));
        assert!(named.is_news("api/a", "no address"));
        named.is_well("api/a");
        assert!(named.is_news("api/a", "no address"));
    }

    #[test]
    fn memory_is_bounded() {
        let named = Named::default();
        for number in 0..MOST {
            assert!(named.is_news(&number.to_string(), "wrong"));
        }
        assert!(!named.is_news("one more", "wrong"));
    }
}
