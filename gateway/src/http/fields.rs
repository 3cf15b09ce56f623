//! Header fields: one buffer and a flat list of ranges over it.
//!
//! A gateway looks at a few fields and forwards the rest as they are, so they are neither hashed nor
//! copied. An edit marks a field as removed or appends one; both can be undone back to a [`Mark`].

/// A range of bytes in the head's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The span of `part` inside `whole`; `part` must be a slice of it.
    pub fn of(whole: &[u8], part: &[u8]) -> Span {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        debug_assert!(start + part.len() <= whole.len(), "a span lies inside its buffer");
        Span { start: start as u32, end: (start + part.len()) as u32 }
    }

    /// Whether it holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

macro_rules! known {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// Fields that the gateway itself reads or removes; all others are [`Known::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Known {
            /// A field that only clients, nodes and plugins know.
            Other,
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Known {
            /// Finds a field's meaning by its name, in any case.
            pub fn from_name(name: &[u8]) -> Known {
                // The first letter and the length tell known names apart from most others, and all but two of
                // them from each other; comparing letters is left for the last.
                let (Some(first), Some(letters)) = (name.first(), FIRST_LETTERS.get(name.len())) else {
                    return Known::Other;
                };
                if letters & letter(*first) == 0 {
                    return Known::Other;
                }
                let key = (name.len() as u32) << 8 | u32::from(first.to_ascii_lowercase());
                $(if key == const { ($name.len() as u32) << 8 | $name.as_bytes()[0] as u32 }
                    && name.eq_ignore_ascii_case($name.as_bytes())
                {
                    return Known::$variant;
                })*
                Known::Other
            }
        }

        /// By a name's length, the first letters of known ones, as bits: most fields of a head are none of them, and no
        /// other comparison is needed to say so.
        static FIRST_LETTERS: [u32; 32] = {
            let mut letters = [0; 32];
            $(letters[$name.len()] |= letter($name.as_bytes()[0]);)*
            letters
        };
    };
}

/// The bit of a letter, in any case. Other bytes share it with one, so it only rules out.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

known! {
    Host = "host",
    ContentLength = "content-length",
    TransferEncoding = "transfer-encoding",
    Connection = "connection",
    KeepAlive = "keep-alive",
    Proxy = "proxy",
    ProxyConnection = "proxy-connection",
    Te = "te",
    Trailer = "trailer",
    Upgrade = "upgrade",
    Expect = "expect",
    Accept = "accept",
    Cookie = "cookie",
    Authorization = "authorization",
    ProxyAuthorization = "proxy-authorization",
    Forwarded = "forwarded",
    XForwardedFor = "x-forwarded-for",
    XForwardedProto = "x-forwarded-proto",
    XForwardedHost = "x-forwarded-host",
    XRequestId = "x-request-id",
    ClientCert = "client-cert",
    ClientCertChain = "client-cert-chain",
}

impl Known {
    /// Whether the field tells of a client's certificate: the gateway's word alone, so nobody else's is heard (RFC 9440, 2.4).
    pub fn is_of_certificate(self) -> bool {
        matches!(self, Known::ClientCert | Known::ClientCertChain)
    }

    /// Whether the field speaks of one connection only and is never forwarded (RFC 9110, 7.6.1).
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::Te
                | Known::Trailer
                | Known::TransferEncoding
                | Known::Upgrade
        )
    }
}

/// One field line.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, as sent.
    pub name: Span,
    /// Its value, without white space around it.
    pub value: Span,
    /// Its meaning for the gateway.
    pub known: Known,
    /// Whether an edit took it out.
    pub removed: bool,
}

/// A point in the history of edits; see [`Fields::mark`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    fields: usize,
    removed: usize,
    buffer: usize,
}

/// The fields of one head, over the head's buffer.
#[derive(Debug, Default)]
pub struct Fields {
    buffer: Vec<u8>,
    list: Vec<Field>,
    /// Indices in the order in which they were removed, so that removals can be undone.
    removals: Vec<u32>,
}

impl Fields {
    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.list.clear();
        self.removals.clear();
    }

    /// The buffer that all spans point into.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// The buffer, to be filled or swapped by a codec before it pushes fields.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.buffer[span.start as usize..span.end as usize]
    }

    /// Appends a field whose bytes stand in the buffer already.
    pub fn push(&mut self, name: Span, value: Span) {
        let known = Known::from_name(self.bytes(name));
        self.list.push(Field { name, value, known, removed: false });
    }

    /// Appends a field whose bytes will stand in the buffer once its codec swaps them in.
    pub fn push_known(&mut self, name: Span, value: Span, known: Known) {
        self.list.push(Field { name, value, known, removed: false });
    }

    /// Appends bytes that no field speaks of (a new path, say) and tells where they stand.
    pub fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(bytes);
        Span { start, end: self.buffer.len() as u32 }
    }

    /// The fields that no edit removed, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter().filter(|field| !field.removed)
    }

    /// The number of fields, removed ones included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All values of a field, by name in any case.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |field| self.is_named(field, name)).map(|field| self.bytes(field.value))
    }

    /// The first value of a field, by name in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|field| self.is_named(field, name)).map(|field| self.bytes(field.value))
    }

    fn is_named(&self, field: &Field, name: &str) -> bool {
        let own = self.bytes(field.name);
        own.len() == name.len() && own.eq_ignore_ascii_case(name.as_bytes())
    }

    /// All values of a known field.
    pub fn known_all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |field| field.known == known).map(|field| self.bytes(field.value))
    }

    /// The first value of a known field.
    pub fn known(&self, known: Known) -> Option<&[u8]> {
        self.known_all(known).next()
    }

    /// Adds a field behind the others. Name and value must be valid: see [`valid_name`] and [`valid_value`].
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.push(name, value);
    }

    /// Removes all fields of a name.
    pub fn remove(&mut self, name: &[u8]) {
        for index in 0..self.list.len() {
            let field = self.list[index];
            if !field.removed && self.bytes(field.name).eq_ignore_ascii_case(name) {
                self.list[index].removed = true;
                self.removals.push(index as u32);
            }
        }
    }

    /// Replaces all fields of a name by one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Remembers this point, so that [`Fields::undo`] can come back to it.
    pub fn mark(&self) -> Mark {
        Mark { fields: self.list.len(), removed: self.removals.len(), buffer: self.buffer.len() }
    }

    /// Undoes every edit since `mark`.
    pub fn undo(&mut self, mark: Mark) {
        for index in self.removals.drain(mark.removed..) {
            self.list[index as usize].removed = false;
        }
        self.list.truncate(mark.fields);
        self.buffer.truncate(mark.buffer);
    }
}

/// Whether `name` is a token (RFC 9110, 5.6.2) and so may name a field or a method.
pub fn valid_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether `value` may be a field's value (RFC 9110, 5.5): no CR, LF, NUL or other control but tab.
pub fn valid_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn undo_brings_back_what_a_faulting_plugin_changed() {
        let mut fields = Fields::default();
        fields.add(b"Host", b"a");
        fields.add(b"X-One", b"1");
        let mark = fields.mark();
        fields.set(b"x-one", b"2");
        fields.remove(b"host");
        fields.add(b"x-new", b"3");
        assert_eq!(fields.get("X-ONE"), Some(&b"2"[..]));
        assert_eq!(fields.known(Known::Host), None);
        fields.undo(mark);
        assert_eq!(fields.get("x-one"), Some(&b"1"[..]));
        assert_eq!(fields.known(Known::Host), Some(&b"a"[..]));
        assert_eq!(fields.get("x-new"), None);
    }

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (name, known) in [
            ("HOST", Known::Host),
            ("te", Known::Te),
            ("Proxy", Known::Proxy),
            ("Content-Length", Known::ContentLength),
            ("TRANSFER-ENCODING", Known::TransferEncoding),
            ("Connection", Known::Connection),
            ("Keep-Alive", Known::KeepAlive),
            ("Proxy-Connection", Known::ProxyConnection),
            ("Trailer", Known::Trailer),
            ("Upgrade", Known::Upgrade),
            ("Expect", Known::Expect),
            ("Accept", Known::Accept),
            ("Cookie", Known::Cookie),
            ("Authorization", Known::Authorization),
            ("Proxy-Authorization", Known::ProxyAuthorization),
            ("Forwarded", Known::Forwarded),
            ("X-Forwarded-For", Known::XForwardedFor),
            ("X-Forwarded-Proto", Known::XForwardedProto),
            ("X-Forwarded-Host", Known::XForwardedHost),
            ("X-Request-Id", Known::XRequestId),
            ("Client-Cert", Known::ClientCert),
            ("Client-Cert-Chain", Known::ClientCertChain),
            ("x-other", Known::Other),
        ] {
            assert_eq!(Known::from_name(name.as_bytes()), known, "{name}");
        }
    }

    #[test]
    fn names_and_values_that_could_split_a_message_are_refused() {
        assert!(valid_name(b"x-one") && !valid_name(b"") && !valid_name(b"x one") && !valid_name(b"x:"));
        assert!(valid_value(b"a\tb \xff") && !valid_value(b"a\r\nb") && !valid_value(b"\0"));
    }
}
