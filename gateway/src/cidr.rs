//! Blocks of addresses (CIDR, RFC 4632 and RFC 4291), to tell whom to trust.
//!
//! No lookups and no lists: a block, and whether an address lies in it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses, such as 10.0.0.0/8; an address alone is a block of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// A text that is not a block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    /// Neither an address nor an address with a prefix length that it can have.
    #[error("{0:?} is not a block of addresses")]
    Syntax(String),
    /// The address has bits set beyond the prefix, so it is unclear what was meant.
    #[error("{text:?} has bits set behind its prefix")]
    HostBits {
        /// What was written.
        text: String,
        /// The block that the address lies in.
        block: Cidr,
    },
}

impl Cidr {
    /// Whether the address lies in the block. An IPv4 address that is written as IPv6 (::ffff:a.b.c.d) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == Some(self.network)
    }
}

/// The address with only its first `prefix` bits; none if it has fewer.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let beyond = 32u32.checked_sub(prefix.into())?;
            Some(Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(beyond).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            let beyond = 128u32.checked_sub(prefix.into())?;
            Some(Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(beyond).unwrap_or(0)).into())
        }
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let syntax = || InvalidCidr::Syntax(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix = match prefix {
            // parse() takes a sign, which nobody means.
            Some(digits) if !digits.starts_with('+') => digits.parse().map_err(|_| syntax())?,
            Some(_) => return Err(syntax()),
            None if address.is_ipv4() => 32,
            None => 128,
        };
        let network = masked(address, prefix).ok_or_else(syntax)?;
        let block = Self { network, prefix };
        if network == address {
            Ok(block)
        } else {
            Err(InvalidCidr::HostBits { text: text.to_owned(), block })
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn contains_what_shares_the_prefix() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "10.0.0.1", false),
        ];
        for (block, address, inside) in cases {
            assert_eq!(
                block.parse::<Cidr>().unwrap().contains(address.parse().unwrap()),
                inside,
                "{address} in {block}"
            );
        }
    }

    #[test]
    fn refuses_what_is_unclear() {
        for bad in
            ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "host/8", "10.0.0.0/8/8"]
        {
            assert_eq!(bad.parse::<Cidr>(), Err(InvalidCidr::Syntax(bad.to_owned())));
        }
        let Err(InvalidCidr::HostBits { block, .. }) = "10.1.2.3/8".parse::<Cidr>() else {
            panic!("it was taken")
        };
        assert_eq!(block.to_string(), "10.0.0.0/8");
    }
}
