//! Paths: the plain form is a fixed point without dot segments, and means what the path meant to one who decodes all of it.

use crate::http::path::{is_surely_plain, plain};

/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    // A target of the codec's has neither.
    let path = data.split(|byte| *byte == b'?').next().unwrap_or_default();
    for keep in [false, true] {
        let Ok(form) = plain(path, keep) else {
            assert!(
                !is_surely_plain(path) || !path.starts_with(b"/"),
                "the short look finds it plain, the long one refuses it"
            );
            continue;
        };
        if is_surely_plain(data) {
            assert_eq!(form, None, "the short look misses something");
        }
        if path.starts_with(b"/") {
            let form = form.as_deref().unwrap_or(path);
            is_plain(form, keep);
            if !keep {
                assert_eq!(meaning(form), meaning(path), "it means another path now");
            }
        }
    }
}

fn is_plain(form: &[u8], keep: bool) {
    let shown = String::from_utf8_lossy(form);
    assert_eq!(plain(form, keep), Ok(None), "{shown} is no fixed point");
    let dots = |segment: &[u8]| matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b".."));
    assert!(!form.split(|byte| *byte == b'/').any(dots), "{shown} has dot segments");
    assert!(
        form.starts_with(b"/") && !form.windows(2).any(|pair| pair == b"//"),
        "{shown} has two slashes in a row"
    );
    for (at, _) in form.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let byte = escaped(&form[at..]).expect("an escape is whole");
        assert!(!byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte), "{shown} escapes what needs none");
        assert!(keep || !b"/\\".contains(&byte), "{shown} hides a slash");
        assert!(byte != 0 && !byte.is_ascii_control(), "{shown} hides a control");
    }
}

/// What a careless server makes of a path: it decodes first, and resolves then.
fn meaning(path: &[u8]) -> Vec<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        match escaped(rest) {
            Some(byte) => {
                decoded.push(byte);
                rest = &rest[3..];
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in decoded.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment.to_vec()),
        }
    }
    segments
}

fn escaped(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
