//! Reads the tables of raw messages.
//!
//! A line is a case, its parts stand between " | ": what must happen, a name, the bytes, and what else is expected of them.
//! `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` are bytes; `{G}`, `{P}` and `{C}` begin a GET, a POST, and a POST in chunks,
//! `{many}` are many fields, and `{long}` a long text.

/// Beginnings that many cases share.
const BEGINNINGS: [(&str, &str); 3] = [
    ("{G}", "GET /t HTTP/1.1\\r\\nHost: a.test\\r\\n"),
    ("{P}", "POST /t HTTP/1.1\\r\\nHost: a.test\\r\\n"),
    ("{C}", "POST /t HTTP/1.1\\r\\nHost: a.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"),
];

/// One line of a table.
#[derive(Debug)]
pub struct Case {
    /// What must happen: a status, or "pass".
    pub must: &'static str,
    /// What it is.
    pub name: &'static str,
    /// What is sent.
    pub raw: Vec<u8>,
    /// What else is expected, without escapes.
    pub expected: Vec<String>,
}

/// All cases of a table.
pub fn read(table: &'static str) -> Vec<Case> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.map(case).collect()
}

fn case(line: &'static str) -> Case {
    let mut parts = line.split(" | ");
    let mut part = || parts.next().unwrap_or_else(|| panic!("a part is missing in {line}"));
    let (must, name, raw) = (part(), part(), part());
    let raw = BEGINNINGS.iter().fold(raw.to_owned(), |raw, (short, long)| raw.replace(short, long));
    // More than any limit.
    let raw = raw.replace("{many}", &"X: y\\r\\n".repeat(200)).replace("{long}", &"x".repeat(1_000_000));
    Case { must, name, raw: bytes(&raw), expected: parts.map(|part| text(&bytes(part))).collect() }
}

/// Bytes as text of as many characters, so that any of them can be compared and shown.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes(escaped: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("no such escape: {other:?} in {escaped}"),
        });
    }
    out
}
