//! What a check asks in HTTP/2: on a connection of its own, as one in HTTP/1.1 does.

use std::future::poll_fn;

use http::{Request, Uri};

use super::{IDENTITY, MOST_INFORMATIONAL};
use crate::transport::http2::{Http2Stream, Lost, SharedConnection};
use crate::transport::stream::Stream;

/// A request, `secure` if it goes under TLS.
pub(super) fn request(method: &str, path: &str, host: &str, secure: bool) -> Result<Request<()>, String> {
    let scheme = if secure { "https" } else { "http" };
    let wrong = |error: http::Error| format!("the check cannot be said in HTTP/2: {error}");
    let uri = Uri::builder().scheme(scheme).authority(host).path_and_query(path).build().map_err(wrong)?;
    let request = Request::builder().method(method).uri(uri);
    request.header("user-agent", IDENTITY).header("accept", "*/*").body(()).map_err(wrong)
}

/// The status of the final head. What stands behind it is not waited for.
pub(super) async fn status(stream: Stream, request: Request<()>) -> Result<u16, String> {
    let connection = SharedConnection::greet(stream).await;
    let connection = connection.map_err(|error| format!("no connection can be made: {error}"))?;
    let asked = connection.send(request, true).map_err(wrong)?;
    let asked = asked.as_http2().expect("it is a stream of such a connection");
    for _ in 0..=MOST_INFORMATIONAL {
        let head = next_head(asked).await.map_err(wrong)?;
        if !head.is_informational() {
            return Ok(head.as_u16());
        }
    }
    Err("it sends informational answers only".to_owned())
}

async fn next_head(stream: &Http2Stream) -> Result<http::StatusCode, Lost> {
    poll_fn(|cx| stream.poll_head(cx)).await.map(|(head, _)| head.status())
}

fn wrong(lost: Lost) -> String {
    let what = match lost {
        Lost::Leaving | Lost::Refused => "it refused the check",
        Lost::Malformed => "its answer breaks HTTP/2",
        Lost::Broken => "it reset the connection",
    };
    what.to_owned()
}
