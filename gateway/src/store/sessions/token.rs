//! Tokens that say nothing: 128 random bits as base64url, so nobody guesses another client's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::StoreError;

/// The length of a token: 128 bits are so many digits of six.
pub(super) const LENGTH: usize = 22;

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

/// The bits of a token; none if it can not be one of ours. Each request of a client that comes back asks for them, so this is
/// not the library's decoder, which takes three times as long for so few digits.
pub(super) fn parse(token: &[u8]) -> Option<u128> {
    let token: &[u8; LENGTH] = token.try_into().ok()?;
    // 48, 48 and 36 bits.
    let (first, rest) = token.split_at(8);
    let (second, last) = rest.split_at(8);
    let [(first, bad_first), (second, bad_second), (last, bad_last)] = [first, second, last].map(digits);
    // 22 digits hold 132 bits.
    let is_good = (bad_first | bad_second | bad_last) < 64 && last & 15 == 0;
    is_good.then_some(u128::from(first) << 80 | u128::from(second) << 32 | u128::from(last >> 4))
}

/// The number that up to ten digits are, and all of them together, which is 64 or more if one is none.
fn digits(text: &[u8]) -> (u64, u8) {
    text.iter().fold((0, 0), |(number, all), &digit| {
        let value = VALUES[usize::from(digit)];
        (number << 6 | u64::from(value & 63), all | value)
    })
}

/// The values of base64url's digits (RFC 4648, 5); what is none has a bit that no digit has.
const VALUES: [u8; 256] = {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [64; 256];
    let mut value = 0;
    while value < 64 {
        values[digits[value] as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_is_read_as_the_library_reads_it(text in "[A-Za-z0-9_-]{22}|[ -~]{20,24}|.{22}") {
            let mut bytes = [0; 16];
            let read = text.len() == 22 && URL_SAFE_NO_PAD.decode_slice(&text, &mut bytes).is_ok();
            prop_assert_eq!(parse(text.as_bytes()), read.then(|| u128::from_be_bytes(bytes)));
        }

        #[test]
        fn what_is_written_is_read(bits: u128) {
            prop_assert_eq!(parse(text(bits).as_bytes()), Some(bits));
        }
    }
}
