//! The two files that read tokens, and the few words of the store's that they use. The store itself speaks to Redis, and
//! would bring a client and TLS along.

/// As the gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    Unavailable,
    Refused,
}

#[allow(dead_code, unused_imports, reason = "which of it is used is the gateway's business")]
#[path = "../../gateway/src/store/sessions"]
pub(crate) mod sessions {
    use std::sync::Arc;
    use std::time::Duration;

    mod cookie;
    pub(crate) mod token;

    const LONGEST_ID: usize = 256;
    const LONGEST_LIFE: Duration = Duration::from_secs(366 * 86_400);

    /// As the gateway's own.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Owner<'a> {
        pub(crate) key: u32,
        pub(crate) name: &'a str,
        pub(crate) pool: &'a str,
    }

    /// As the gateway's own.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Binding {
        pub(crate) token: String,
        pub(crate) node: Arc<str>,
    }

    fn fits(node: &str) -> bool {
        !node.is_empty() && node.len() <= LONGEST_ID
    }

    /// What is private to the gateway's module of sessions, for the target.
    pub(crate) mod open {
        use std::sync::Arc;
        use std::time::{Duration, SystemTime};

        use super::{Owner, cookie::Cookies, token};

        pub(crate) struct Keys(Cookies);

        impl Keys {
            pub(crate) fn new(key: &[u8]) -> Keys {
                Keys(Cookies::new([key]))
            }

            pub(crate) fn get(&self, of: &Owner<'_>, text: &str, now: SystemTime) -> Option<Arc<str>> {
                self.0.get(of, text, now)
            }

            pub(crate) fn mint(
                &self,
                of: &Owner<'_>,
                node: &str,
                life: Duration,
                now: SystemTime,
            ) -> Option<String> {
                self.0.bind(of, None, node, life, None, now).ok().map(|binding| binding.token)
            }
        }

        /// The bits of a token that says nothing, and the text of such bits.
        pub(crate) fn bits(text: &str) -> Option<u128> {
            token::parse(text.as_bytes())
        }

        pub(crate) fn text(bits: u128) -> String {
            token::text(bits)
        }
    }
}
