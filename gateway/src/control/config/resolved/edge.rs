//! How strict requests are read, before a route is chosen.

/// How strict requests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strictness {
    /// Whether paths are brought into their plain form, and ambiguous ones refused.
    pub normalize_path: bool,
    /// What becomes of escaped slashes and backslashes in paths that are.
    pub escaped_slashes: EscapedSlashes,
    /// What becomes of header fields with an underscore in their names.
    pub underscores: Underscores,
}

/// What becomes of `%2F` and `%5C` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// The request is refused.
    Refuse,
    /// They stay as they are.
    Keep,
}

/// What becomes of header fields with an underscore in their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    /// They are left out.
    Drop,
    /// They stay, unless a dash would make them a field that the gateway knows.
    Keep,
}
