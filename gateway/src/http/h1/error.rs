//! Why a message is refused. One word for metrics, one status for the client, never the peer's bytes.

/// A message that breaks RFC 9112, a limit, or this gateway's stricter reading of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line ends with LF alone, or holds one.
    #[error("a line ends without CR")]
    BareLineFeed,
    /// A CR that no LF follows.
    #[error("a CR stands alone")]
    BareCarriageReturn,
    /// Not `method SP target SP version`.
    #[error("the request line is not valid")]
    RequestLine,
    /// Not `version SP status SP reason`, or a status outside 100 to 599.
    #[error("the status line is not valid")]
    StatusLine,
    /// The target has none of the forms of RFC 9112, 3.2, a fragment, or bytes outside ASCII.
    #[error("the request target is not valid")]
    Target,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("the HTTP version is not supported")]
    Version,
    /// The method is not in capital letters.
    #[error("the method is not in capital letters")]
    Method,
    /// CONNECT, which this gateway does not offer.
    #[error("CONNECT is not supported")]
    Connect,
    /// TRACE, which would tell a page the fields that it may not see (RFC 9110, 9.3.8).
    #[error("TRACE is not supported")]
    Trace,
    /// A path that servers read in different ways; see [`crate::http::path`].
    #[error("the path is one that servers read in different ways")]
    Path,
    /// A field name that is no token; also white space before the colon, and folded lines.
    #[error("a field name is not valid")]
    FieldName,
    /// A control byte in a field's value.
    #[error("a field value is not valid")]
    FieldValue,
    /// The request line alone is longer than a head may be.
    #[error("the request line is too long")]
    TargetTooLong,
    /// The head is longer than its limit.
    #[error("the head is too large")]
    HeadTooLarge,
    /// The head has more fields than its limit.
    #[error("the head has too many fields")]
    TooManyFields,
    /// HTTP/1.1 without Host (RFC 9112, 3.2).
    #[error("Host is missing")]
    HostMissing,
    /// More than one Host.
    #[error("Host is given more than once")]
    HostRepeated,
    /// Host is no `host[:port]`.
    #[error("Host is not valid")]
    Host,
    /// The target names another host than Host does.
    #[error("the target and Host name different hosts")]
    HostDiffers,
    /// A switch of protocols that is not the one that was asked for (RFC 6455, 4.1).
    #[error("the switch of protocols is not the one that was asked for")]
    Switch,
    /// Expect is anything but 100-continue (RFC 9110, 10.1.1).
    #[error("the expectation is not supported")]
    Expectation,
    /// Content-Length is no number, or a list.
    #[error("Content-Length is not valid")]
    ContentLength,
    /// More than one Content-Length, even if they agree.
    #[error("Content-Length is given more than once")]
    ContentLengthRepeated,
    /// Content-Length and Transfer-Encoding together (RFC 9112, 6.3).
    #[error("Content-Length and Transfer-Encoding are given together")]
    LengthAndCoding,
    /// Transfer-Encoding is a list, is repeated, or stands in HTTP/1.0.
    #[error("Transfer-Encoding is not valid")]
    TransferEncoding,
    /// A transfer coding other than chunked.
    #[error("the transfer coding is not supported")]
    UnknownCoding,
    /// Connection names more fields than any honest peer does.
    #[error("Connection names too many fields")]
    Connection,
    /// A chunk's size is not 1 to 16 hexadecimal digits.
    #[error("a chunk size is not valid")]
    ChunkSize,
    /// Chunk extensions hold control bytes, or more bytes than a body may spend on them.
    #[error("chunk extensions are not valid or too long")]
    ChunkExtension,
    /// A chunk's data is not followed by CRLF.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// The body is longer than its limit.
    #[error("the body is too large")]
    BodyTooLarge,
    /// Trailers are not valid fields, or too many.
    #[error("the trailers are not valid")]
    Trailers,
    /// The peer closed before the message was whole.
    #[error("the message ends early")]
    Truncated,
    /// h2 found that a node breaks RFC 9113.
    #[error("it breaks the rules of HTTP/2")]
    Http2,
    /// More or fewer bytes to send than the head promised: ours to answer for, not the receiver's.
    #[error("the body's length differs from the one that was promised")]
    BodyLength,
}

impl Malformed {
    /// The status that tells a client so. A node's malformed response is a 502 instead.
    pub fn status(self) -> u16 {
        match self {
            Malformed::BodyTooLarge => 413,
            Malformed::TargetTooLong => 414,
            Malformed::Expectation => 417,
            Malformed::HeadTooLarge | Malformed::TooManyFields => 431,
            Malformed::BodyLength => 500,
            Malformed::Connect | Malformed::Trace | Malformed::UnknownCoding => 501,
            Malformed::Version => 505,
            _ => 400,
        }
    }

    /// A short stable word for metrics and logs.
    pub fn kind(self) -> &'static str {
        match self {
            Malformed::BareLineFeed => "bare-lf",
            Malformed::BareCarriageReturn => "bare-cr",
            Malformed::RequestLine => "request-line",
            Malformed::StatusLine => "status-line",
            Malformed::Target => "target",
            Malformed::Version => "version",
            Malformed::Method => "method",
            Malformed::Connect => "connect",
            Malformed::Trace => "trace",
            Malformed::Path => "path",
            Malformed::FieldName => "field-name",
            Malformed::FieldValue => "field-value",
            Malformed::TargetTooLong => "target-too-long",
            Malformed::HeadTooLarge => "head-too-large",
            Malformed::TooManyFields => "too-many-fields",
            Malformed::HostMissing => "host-missing",
            Malformed::HostRepeated => "host-repeated",
            Malformed::Host => "host",
            Malformed::HostDiffers => "host-differs",
            Malformed::Switch => "switch",
            Malformed::Expectation => "expectation",
            Malformed::ContentLength => "content-length",
            Malformed::ContentLengthRepeated => "content-length-repeated",
            Malformed::LengthAndCoding => "length-and-coding",
            Malformed::TransferEncoding => "transfer-encoding",
            Malformed::UnknownCoding => "unknown-coding",
            Malformed::Connection => "connection",
            Malformed::ChunkSize => "chunk-size",
            Malformed::ChunkExtension => "chunk-extension",
            Malformed::ChunkEnd => "chunk-end",
            Malformed::BodyTooLarge => "body-too-large",
            Malformed::Trailers => "trailers",
            Malformed::Truncated => "truncated",
            Malformed::Http2 => "http2",
            Malformed::BodyLength => "body-length",
        }
    }
}

/// What httparse found, in our words. What it says about the first line is refined by its caller.
impl From<httparse::Error> for Malformed {
    fn from(error: httparse::Error) -> Malformed {
        match error {
            httparse::Error::HeaderName => Malformed::FieldName,
            httparse::Error::HeaderValue => Malformed::FieldValue,
            httparse::Error::NewLine => Malformed::BareCarriageReturn,
            httparse::Error::Status => Malformed::StatusLine,
            httparse::Error::Token => Malformed::RequestLine,
            httparse::Error::TooManyHeaders => Malformed::TooManyFields,
            httparse::Error::Version => Malformed::Version,
        }
    }
}
