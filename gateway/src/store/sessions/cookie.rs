//! Sessions that the client keeps: the token names the node, and a signature vouches for it. No gateway keeps anything.
//!
//! A token is base64url of: version (1 byte), whose it is (8: a hash of pool and use), when it ends (5: Unix seconds), the
//! node's id, and a tag (16: HMAC-SHA256 over all before it, cut to 128 bits). The first key signs, all verify, so keys are changed
//! without losing a session. What is forged, has ended or belongs to another pool is as good as no token, and is counted.
//!
//! What a store elsewhere can do and this cannot: two requests of one client that are bound at the same time may get two
//! nodes (the browser keeps one of the cookies), a token that was replaced or forgotten is good until it ends, and clients can
//! read the node's id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Binding, LONGEST_ID, LONGEST_LIFE, Owner, fits};
use crate::store::StoreError;

const VERSION: u8 = 1;
const OWNER: usize = 8;
const ENDS: usize = 5;
const TAG: usize = 16;
/// Bytes before the node's id.
const HEAD: usize = 1 + OWNER + ENDS;
/// Digits of the longest token.
const LONGEST: usize = (HEAD + LONGEST_ID + TAG).div_ceil(3) * 4;

/// Why a token is as good as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Its signature is not by one of the keys, or it is no token at all.
    Forged,
    /// Its time is over.
    Ended,
    /// It is of another pool or use.
    Foreign,
}

impl Bad {
    /// Each of them.
    pub const ALL: [Bad; 3] = [Bad::Forged, Bad::Ended, Bad::Foreign];

    /// The word in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Bad::Forged => "forged",
            Bad::Ended => "ended",
            Bad::Foreign => "foreign",
        }
    }
}

/// The keys.
pub(super) struct Cookies {
    keys: Vec<Hmac<Sha256>>,
    bad: [AtomicU64; Bad::ALL.len()],
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cookies({} keys)", self.keys.len())
    }
}

impl Cookies {
    /// The first key signs, all verify.
    ///
    /// # Panics
    /// If there is no key.
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Cookies {
        let key = |key| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        let keys: Vec<_> = keys.into_iter().map(key).collect();
        assert!(!keys.is_empty(), "a store of cookies has a key");
        Cookies { keys, bad: Default::default() }
    }

    /// The node that a token names.
    pub(super) fn get(&self, of: &Owner<'_>, token: impl AsRef<[u8]>, now: SystemTime) -> Option<Arc<str>> {
        match self.read(of, token.as_ref(), now) {
            Ok(node) => Some(node),
            Err(bad) => {
                self.bad[bad as usize].fetch_add(1, Relaxed);
                None
            }
        }
    }

    /// A token for the node that is asked for, unless a good old one names another that is not to be replaced.
    pub(super) fn bind(
        &self,
        of: &Owner<'_>,
        old: Option<&str>,
        node: &str,
        life: Duration,
        replaces: Option<&str>,
        now: SystemTime,
    ) -> Result<Binding, StoreError> {
        if !fits(node) {
            return Err(StoreError::Refused);
        }
        if let Some(token) = old
            && let Some(held) = self.get(of, token, now)
            && *held != *node
            && replaces != Some(&*held)
        {
            return Ok(Binding { token: token.to_owned(), node: held });
        }
        Ok(Binding { token: self.write(of, node, now + life.min(LONGEST_LIFE)), node: node.into() })
    }

    /// How many tokens were bad in this way.
    pub(super) fn bad(&self, bad: Bad) -> u64 {
        self.bad[bad as usize].load(Relaxed)
    }

    fn write(&self, of: &Owner<'_>, node: &str, ends: SystemTime) -> String {
        let mut bytes = Vec::with_capacity(HEAD + node.len() + TAG);
        bytes.push(VERSION);
        bytes.extend_from_slice(&owner(of));
        bytes.extend_from_slice(&seconds(ends).to_be_bytes()[8 - ENDS..]);
        bytes.extend_from_slice(node.as_bytes());
        let tag = self.keys[0].clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, of: &Owner<'_>, token: &[u8], now: SystemTime) -> Result<Arc<str>, Bad> {
        // The check keeps the decoder from working on what is no token.
        if token.len() > LONGEST {
            return Err(Bad::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Bad::Forged)?;
        let (signed, tag) = bytes.split_last_chunk::<TAG>().ok_or(Bad::Forged)?;
        // Compares in constant time; which key it was by is no secret.
        let vouches =
            |key: &Hmac<Sha256>| key.clone().chain_update(signed).verify_truncated_left(tag).is_ok();
        if signed.len() <= HEAD || signed[0] != VERSION || !self.keys.iter().any(vouches) {
            return Err(Bad::Forged);
        }
        let (whose, rest) = signed[1..].split_at(OWNER);
        let (ends, node) = rest.split_at(ENDS);
        if *whose != owner(of) {
            return Err(Bad::Foreign);
        }
        if ends.iter().fold(0, |seconds, byte| seconds << 8 | u64::from(*byte)) <= seconds(now) {
            return Err(Bad::Ended);
        }
        std::str::from_utf8(node).map(Arc::from).map_err(|_| Bad::Forged)
    }
}

/// A hash of pool and use. Names have no line ends.
fn owner(of: &Owner<'_>) -> [u8; OWNER] {
    let hash = Sha256::new().chain_update(of.pool).chain_update("\n").chain_update(of.name).finalize();
    *hash.first_chunk().expect("a SHA-256 hash is longer")
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NEW: &[u8] = b"a new key of 32 bytes at the least";
    const OLD: &[u8] = b"an old key of 32 bytes or even more";
    const OF: Owner<'static> = Owner { key: 1, name: "sticky", pool: "api" };

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn token(cookies: &Cookies, node: &str) -> String {
        cookies.bind(&OF, None, node, HOUR, None, now()).unwrap().token
    }

    #[test]
    fn any_gateway_with_the_key_reads_it_until_it_ends() {
        let (here, there) = (Cookies::new([NEW]), Cookies::new([NEW]));
        let token = token(&here, "node-a");
        assert_eq!(there.get(&OF, &token, now() + HOUR - Duration::from_secs(1)).as_deref(), Some("node-a"));
        assert_eq!(there.get(&OF, &token, now() + HOUR), None);
        assert_eq!((there.bad(Bad::Ended), there.bad(Bad::Forged)), (1, 0));
    }

    #[test]
    fn keys_are_changed_without_losing_a_session() {
        let (before, between, after) = (Cookies::new([OLD]), Cookies::new([NEW, OLD]), Cookies::new([NEW]));
        let old = token(&before, "node-a");
        assert_eq!(between.get(&OF, &old, now()).as_deref(), Some("node-a"));
        let renewed = between.bind(&OF, Some(&old), "node-a", HOUR, None, now()).unwrap().token;
        assert_eq!(after.get(&OF, &renewed, now()).as_deref(), Some("node-a"));
        assert_eq!(after.get(&OF, &old, now()), None);
        assert_eq!(after.bad(Bad::Forged), 1);
    }

    #[test]
    fn a_token_is_of_one_pool_and_one_use() {
        let cookies = Cookies::new([NEW]);
        let token = token(&cookies, "node-a");
        for of in [Owner { pool: "web", ..OF }, Owner { name: "other", ..OF }] {
            assert_eq!(cookies.get(&of, &token, now()), None);
        }
        assert_eq!(cookies.bad(Bad::Foreign), 2);
        // The process' own number of the use says nothing in another one.
        assert!(cookies.get(&Owner { key: 2, ..OF }, &token, now()).is_some());
    }

    proptest! {
        #[test]
        fn any_bit_that_flips_is_noticed(node in "[a-z0-9.:-]{1,256}", bit: prop::sample::Index) {
            let cookies = Cookies::new([NEW]);
            let token = token(&cookies, &node);
            prop_assert!(token.len() <= LONGEST);
            prop_assert_eq!(cookies.get(&OF, &token, now()), Some(Arc::from(node)));
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(cookies.get(&OF, URL_SAFE_NO_PAD.encode(bytes), now()), None);
        }

        #[test]
        fn what_is_no_token_is_not_taken_for_one(text in ".{0,500}", letter in "[A-Za-z0-9_-]", at: prop::sample::Index) {
            let cookies = Cookies::new([NEW]);
            prop_assert_eq!(cookies.get(&OF, &text, now()), None);
            let mut digits = token(&cookies, "node-a").into_bytes();
            let at = at.index(digits.len());
            let changed = digits[at] != letter.as_bytes()[0];
            digits[at] = letter.as_bytes()[0];
            let token = String::from_utf8(digits).unwrap();
            prop_assert_eq!(cookies.get(&OF, &token, now()).is_some(), !changed);
        }
    }
}
