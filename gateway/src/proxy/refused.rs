//! What of a request's failure is the front door's refusal, by what the client did: for those who watch for attacks.
//!
//! It is counted beside the errors of routes, which say what became of requests.

use super::error::Error;
use crate::http::h1::Malformed;
use crate::telemetry::Refused;

/// The kind of a refusal; none if the client did nothing that is refused to everybody.
pub(super) fn refused(error: &Error) -> Option<Refused> {
    match error {
        Error::BadRequest(malformed) => Some(malformed_kind(*malformed)),
        Error::HeadLate => Some(Refused::SlowHead),
        Error::BodyLate => Some(Refused::SlowBody),
        Error::ClientStalled => Some(Refused::SlowRead),
        Error::Misdirected => Some(Refused::Misdirected),
        _ => None,
    }
}

fn malformed_kind(malformed: Malformed) -> Refused {
    match malformed {
        Malformed::ContentLength
        | Malformed::ContentLengthRepeated
        | Malformed::LengthAndCoding
        | Malformed::TransferEncoding
        | Malformed::ChunkSize
        | Malformed::ChunkExtension
        | Malformed::ChunkEnd
        | Malformed::Trailers
        | Malformed::Truncated
        | Malformed::BodyLength => Refused::Framing,
        Malformed::BareLineFeed
        | Malformed::BareCarriageReturn
        | Malformed::RequestLine
        | Malformed::StatusLine
        | Malformed::FieldName
        | Malformed::FieldValue
        | Malformed::Method
        | Malformed::Connection
        | Malformed::Switch
        | Malformed::Http2 => Refused::Syntax,
        Malformed::Target | Malformed::Path => Refused::Target,
        Malformed::HostMissing | Malformed::HostRepeated | Malformed::Host | Malformed::HostDiffers => {
            Refused::Host
        }
        Malformed::Version
        | Malformed::Connect
        | Malformed::Trace
        | Malformed::Expectation
        | Malformed::UnknownCoding => Refused::Unsupported,
        Malformed::TargetTooLong => Refused::TargetTooLong,
        Malformed::HeadTooLarge | Malformed::TooManyFields => Refused::HeadTooLarge,
        Malformed::BodyTooLarge => Refused::BodyTooLarge,
    }
}
