//! The PROXY protocol: a header that is read was whole, reads the same with anything behind it, and comes back when it is written
//! again in either version.

use crate::transport::proxy_protocol::{Header, Version, encode, parse};

/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    let Ok(Some(header)) = parse(data) else { return };
    let Header { ends, length } = header;
    assert!(length <= data.len(), "it is longer than what came");
    assert_eq!(parse(&data[..length]), Ok(Some(header)), "what stands behind it matters");
    for short in 0..length {
        assert_eq!(parse(&data[..short]), Ok(None), "{short} bytes of it are enough, or too many");
    }
    for version in [Version::V1, Version::V2] {
        let written = encode(version, ends);
        let again = parse(&written).ok().flatten();
        let Some(again) = again else { panic!("{ends:?} is written as no header: {written:?}") };
        assert_eq!(again.length, written.len(), "{ends:?}");
        // Addresses of two families, and IPv4 as IPv6, have one form each.
        assert_eq!(encode(version, again.ends), written, "{ends:?}");
        assert_eq!(again.ends.is_some(), ends.is_some(), "{ends:?}");
        let canonical = |ends: crate::transport::proxy_protocol::Ends| {
            [ends.client, ends.server].map(|end| (end.ip().to_canonical(), end.port()))
        };
        assert_eq!(again.ends.map(canonical), ends.map(canonical), "other addresses");
    }
}
