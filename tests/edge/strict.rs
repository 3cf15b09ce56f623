//! A second reader of requests, as strict as RFC 9112 lets one be: whatever it is unsure of is an error.
//!
//! It is written to be plain and not fast, and knows nothing of the gateway's codec.

use super::cases::text;

/// A request as it was read, each byte a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub method: String,
    pub target: String,
    /// Names in small letters.
    pub fields: Vec<(String, String)>,
    pub body: String,
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// All values of a field.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value).collect()
    }
}

type Fields = Vec<(String, String)>;

/// Reads the request at the front, and tells how many bytes it takes; none if it is not complete.
pub fn read(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let Some((lines, mut taken)) = section(bytes)? else { return Ok(None) };
    let (line, lines) = lines.split_first().ok_or("no request line")?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format!("no request line: {line:?}"));
    };
    let is_graphic = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if !is_token(method) || !is_graphic(target) || target.contains('#') {
        return Err(format!("no request line: {line:?}"));
    }
    if !target.starts_with('/') && (method, target) != ("OPTIONS", "*") {
        return Err(format!("no origin form: {target:?}"));
    }
    let fields = fields(lines)?;
    let mut message = Message {
        method: method.to_owned(),
        target: target.to_owned(),
        fields,
        body: String::new(),
        trailers: Vec::new(),
    };
    if message.values("host").len() != 1 {
        return Err(format!("not one Host: {message:?}"));
    }
    let rest = &bytes[taken..];
    match (&message.values("content-length")[..], &message.values("transfer-encoding")[..]) {
        ([], []) => {}
        ([length], []) => {
            let is_plain = !length.is_empty() && length.chars().all(|c| c.is_ascii_digit());
            let length: usize = is_plain.then(|| length.parse().ok()).flatten().ok_or("no length")?;
            let Some(body) = rest.get(..length) else { return Ok(None) };
            message.body = text(body);
            taken += length;
        }
        ([], ["chunked"]) => {
            let Some((body, trailers, used)) = chunks(rest)? else { return Ok(None) };
            (message.body, message.trailers) = (body, trailers);
            taken += used;
        }
        _ => return Err(format!("framed twice, or not at all: {message:?}")),
    }
    Ok(Some((message, taken)))
}

/// The lines up to an empty one, and how many bytes they take with it.
fn section(bytes: &[u8]) -> Result<Option<(Vec<String>, usize)>, String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let line = rest[..end].strip_suffix(b"\r").ok_or("a bare LF")?;
        rest = &rest[end + 1..];
        if line.is_empty() {
            return Ok(Some((lines, bytes.len() - rest.len())));
        }
        if line.iter().any(|&byte| byte != b'\t' && (byte < b' ' || byte == 0x7f)) {
            return Err(format!("a control in {:?}", text(line)));
        }
        lines.push(text(line));
    }
}

fn fields(lines: &[String]) -> Result<Fields, String> {
    let field = |line: &String| {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
        if !is_token(name) {
            return Err(format!("no name: {name:?}"));
        }
        Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
    };
    lines.iter().map(field).collect()
}

/// A body in chunks without extensions: what it holds, its trailers, and how many bytes it takes.
fn chunks(bytes: &[u8]) -> Result<Option<(String, Fields, usize)>, String> {
    let mut body = String::new();
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let line = text(rest[..end].strip_suffix(b"\r").ok_or("a bare LF behind a size")?);
        rest = &rest[end + 1..];
        if line.is_empty() || line.len() > 16 || !line.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(format!("no size: {line:?}"));
        }
        let size = usize::from_str_radix(&line, 16).map_err(|error| error.to_string())?;
        if size == 0 {
            let Some((lines, used)) = section(rest)? else { return Ok(None) };
            return Ok(Some((body, fields(&lines)?, bytes.len() - rest.len() + used)));
        }
        let Some(data) = rest.get(..size + 2) else { return Ok(None) };
        body += &text(data.strip_suffix(b"\r\n").ok_or("a chunk without its end")?);
        rest = &rest[size + 2..];
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

#[test]
fn it_reads_what_is_right_and_nothing_else() {
    let good =
        "POST /a HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n";
    let (message, taken) = read(good.as_bytes()).unwrap().unwrap();
    assert_eq!((message.body.as_str(), taken), ("hi", good.len()));
    assert_eq!(message.trailers, [("x".to_owned(), "y".to_owned())]);
    for end in 0..good.len() {
        assert_eq!(read(&good.as_bytes()[..end]), Ok(None), "{end}");
    }
    for bad in [
        "POST /a HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.0\r\nhost: b\r\n\r\n",
        "POST a HTTP/1.1\r\nhost: b\r\n\r\n",
        "POST /a HTTP/1.1\nhost: b\n\n",
        "POST /a HTTP/1.1\r\nhost : b\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: b\r\n c\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: b\r\nhost: b\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: b\r\ncontent-length: 1, 1\r\n\r\nx",
        "POST /a HTTP/1.1\r\nhost: b\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: b\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n1;a\r\nx\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
    ] {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
}
