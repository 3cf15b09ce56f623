//! Tokens that say nothing: 128 random bits as base64url, so nobody guesses another client's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::StoreError;

/// New bits.
///
/// # Errors
/// [`StoreError::Unavailable`] if the system has no randomness to give.
pub(super) fn mint() -> Result<u128, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::Unavailable)?;
    Ok(u128::from_be_bytes(bytes))
}

/// The token of these bits.
pub(super) fn text(bits: u128) -> String {
    URL_SAFE_NO_PAD.encode(bits.to_be_bytes())
}

/// The bits of a token; none if it can not be one of ours.
pub(super) fn parse(token: &str) -> Option<u128> {
    let mut bytes = [0; 16];
    // 128 bits are 22 digits; the check keeps the decoder from working on what is no token.
    if token.len() != 22 || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()? != bytes.len() {
        return None;
    }
    Some(u128::from_be_bytes(bytes))
}
