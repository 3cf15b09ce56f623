//! Cookies that carry sessions, and tokens that say nothing: what verifies was signed, and a token has one spelling.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::http::head::RequestHead;
use crate::store::sessions::Owner;
use crate::store::sessions::open::{Keys, bits, text};

const KEY: &[u8] = b"a key of 32 bytes, which is enough";
/// For what the input signs, so that the fuzzer cannot learn a good signature from it.
const OTHER_KEY: &[u8] = b"another key of 32 bytes, for all else";
const OF: Owner<'static> = Owner { key: 1, name: "sticky", pool: "api" };
const LIFE: Duration = Duration::from_secs(3600);
/// Bytes before the node's id, and behind it.
const HEAD: usize = 14;
const TAG: usize = 16;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    let shown = String::from_utf8_lossy(data);
    nobody_signs_but_we(&shown);
    what_is_signed_is_read_as_it_stands(data);
    a_change_is_noticed(&shown, data);
    if let Some(bits) = bits(&shown) {
        assert_eq!(text(bits), shown, "a token has two spellings");
    }
    a_cookie_ends_at_its_semicolon(data);
}

fn nobody_signs_but_we(shown: &str) {
    let keys = Keys::new(KEY);
    if let Some(node) = keys.get(&OF, shown, now()) {
        // The fuzzer may have seen one that was minted here.
        let minted = keys.mint(&OF, &node, LIFE, now());
        assert_eq!(minted.as_deref(), Some(shown), "it verifies, and nobody signed it");
    }
}

/// Behind a good signature anything may stand, since a key may be used by something else.
fn what_is_signed_is_read_as_it_stands(data: &[u8]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(OTHER_KEY).expect("HMAC takes keys of any length");
    mac.update(data);
    let tag = mac.finalize().into_bytes();
    let signed = URL_SAFE_NO_PAD.encode([data, &tag[..TAG]].concat());
    if let Some(node) = Keys::new(OTHER_KEY).get(&OF, &signed, now()) {
        assert_eq!(data.get(HEAD..), Some(node.as_bytes()), "the node is not what was signed");
        let ends = data[9..HEAD].iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte));
        assert!(now() < UNIX_EPOCH + Duration::from_secs(ends), "it ended at {ends}");
    }
}

/// The first two bytes say which byte of a good token becomes another.
fn a_change_is_noticed(node: &str, data: &[u8]) {
    let keys = Keys::new(KEY);
    let Some(token) = keys.mint(&OF, node, LIFE, now()) else { return };
    assert_eq!(keys.get(&OF, &token, now()).as_deref(), Some(node), "what was signed verifies");
    assert_eq!(keys.get(&OF, &token, now() + LIFE), None, "it ends");
    assert_eq!(keys.get(&Owner { pool: "web", ..OF }, &token, now()), None, "it is of one pool");
    let [at, letter, ..] = *data else { return };
    let mut changed = token.clone().into_bytes();
    let at = usize::from(at) % changed.len();
    changed[at] = letter;
    let changed = String::from_utf8_lossy(&changed);
    assert!(changed == token || keys.get(&OF, &changed, now()).is_none(), "a change passes");
    assert!(bits(&token).is_none() || token.len() == 22);
}

fn a_cookie_ends_at_its_semicolon(data: &[u8]) {
    let mut head = RequestHead::default();
    head.fields.add(b"cookie", data);
    if let Some(value) = head.cookie("bascule") {
        assert!(!value.contains(&b';'), "a cookie holds another one");
        let named = [b"bascule=", value].concat();
        let quoted = [b"bascule=\"", value, b"\""].concat();
        let stands = |text: &[u8]| data.windows(text.len()).any(|window| window == text);
        assert!(stands(&named) || stands(&quoted), "a cookie that nobody sent");
    }
}
