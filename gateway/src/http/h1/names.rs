//! Which fields of a head are left out for their names, before anyone sees them.
//!
//! Most names have no underscore, and are not even looked at: one search over the head tells where the next one stands.

use memchr::memchr;

use crate::http::fields::{Known, Span};

/// The names of a head, in the order in which they stand there.
pub(super) struct Names<'a> {
    head: &'a [u8],
    /// Where the next underscore stands, behind the names that were seen; beyond the head if there is none.
    next: usize,
    keep_underscores: bool,
}

impl<'a> Names<'a> {
    /// Those of a request.
    pub(super) fn of_request(head: &'a [u8], keep_underscores: bool) -> Names<'a> {
        Names { head, next: memchr(b'_', head).unwrap_or(usize::MAX), keep_underscores }
    }

    /// Those of a response: nodes may name their fields as they like.
    pub(super) fn of_response(head: &'a [u8]) -> Names<'a> {
        Names { head, next: usize::MAX, keep_underscores: true }
    }

    /// Whether the next field is left out, since there is an underscore in its name.
    #[inline]
    pub(super) fn drops(&mut self, name: Span) -> bool {
        // Nearly always one comparison tells: the next underscore stands further on.
        self.next < name.end as usize && self.drops_underscore(name)
    }

    /// The next underscore stands in this name, or in what was passed over before it.
    fn drops_underscore(&mut self, name: Span) -> bool {
        let (start, end) = (name.start as usize, name.end as usize);
        if self.next < start {
            // It stood in a value.
            self.next = memchr(b'_', &self.head[start..]).map_or(usize::MAX, |at| start + at);
        }
        self.next < end && (!self.keep_underscores || is_impostor(&self.head[start..end]))
    }
}

/// Whether this is a name that the gateway knows, but for underscores in place of dashes.
pub(super) fn is_impostor(name: &[u8]) -> bool {
    // Longer than any of them.
    let mut dashed = [0; 32];
    let Some(dashed) = dashed.get_mut(..name.len()).filter(|_| name.contains(&b'_')) else { return false };
    for (place, &byte) in dashed.iter_mut().zip(name) {
        *place = if byte == b'_' { b'-' } else { byte };
    }
    Known::from_name(dashed) != Known::Other
}
