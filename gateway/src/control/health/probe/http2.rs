//! What a check asks in HTTP/2: on a connection of its own, as one in HTTP/1.1 does.

use std::future::poll_fn;

use http::header::HeaderValue;
use http::{HeaderMap, Request, Response, Uri};

use super::{IDENTITY, MOST_BODY, MOST_INFORMATIONAL, ROOM};
use crate::http::grpc;
use crate::transport::http2::{Lost, SharedConnection};
use crate::transport::stream::Stream;

/// The method of gRPC's health checks.
const CHECK: &str = "/grpc.health.v1.Health/Check";

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
    let asked = begin(stream, request, true).await?;
    final_head(&asked).await.map(|(head, _)| head.status().as_u16())
}

/// Asks whether a service serves, as gRPC's own checks do (grpc.health.v1).
pub(super) async fn ask_grpc(stream: Stream, service: &str, host: &str, secure: bool) -> Result<(), String> {
    let mut request = request("POST", CHECK, host, secure)?;
    let fields = request.headers_mut();
    fields.insert("content-type", HeaderValue::from_static(grpc::CONTENT_TYPE));
    fields.insert("te", HeaderValue::from_static("trailers"));
    let mut asked = begin(stream, request, false).await?;
    let (_, mut writer) = asked.split();
    let sent = writer.write_all(&grpc::question(service)).await.and_then(|()| writer.end(None));
    sent.map_err(|error| format!("the check cannot be sent: {error}"))?;
    let (head, is_all) = final_head(&asked).await?;
    if head.status() != 200 {
        return Err(format!("it answered {}", head.status().as_u16()));
    }
    if is_all {
        let code = told(head.headers());
        return Err(refused(code.as_deref().unwrap_or("none")));
    }
    let (mut reader, _) = asked.split();
    let mut body = Vec::new();
    loop {
        body.reserve(ROOM);
        let count =
            reader.fill(&mut body).await.map_err(|error| format!("its answer is cut off: {error}"))?;
        if count == 0 {
            break;
        }
        if body.len() > MOST_BODY {
            return Err("its answer is too long for one to a check".to_owned());
        }
    }
    let trailers = reader.take_trailers();
    let code = trailers.as_ref().and_then(|trailers| trailers.get(grpc::STATUS));
    match code {
        Some(b"0") if grpc::serving(&body)? => Ok(()),
        Some(b"0") => Err("it says that it does not serve".to_owned()),
        code => Err(refused(&String::from_utf8_lossy(code.unwrap_or(b"none")))),
    }
}

fn told(fields: &HeaderMap) -> Option<String> {
    let code = fields.get(grpc::STATUS)?;
    Some(String::from_utf8_lossy(code.as_bytes()).into_owned())
}

/// NOT_FOUND is a service that it does not know, UNIMPLEMENTED that it has no such checks.
fn refused(code: &str) -> String {
    let what = match code {
        "5" => " (it does not know the service)",
        "12" => " (it has no health checks)",
        _ => "",
    };
    format!("it answered the grpc-status {code:?}{what}")
}

/// A stream on a connection of its own.
async fn begin(stream: Stream, request: Request<()>, ended: bool) -> Result<Stream, String> {
    let connection = SharedConnection::greet(stream).await;
    let connection = connection.map_err(|error| format!("no connection can be made: {error}"))?;
    connection.send(request, ended).map_err(wrong)
}

/// The final head, and whether nothing follows it.
async fn final_head(stream: &Stream) -> Result<(Response<()>, bool), String> {
    let stream = stream.as_http2().expect("it is a stream of such a connection");
    for _ in 0..=MOST_INFORMATIONAL {
        let (head, is_all) = poll_fn(|cx| stream.poll_head(cx)).await.map_err(wrong)?;
        if !head.status().is_informational() {
            return Ok((head, is_all));
        }
    }
    Err("it sends informational answers only".to_owned())
}

fn wrong(lost: Lost) -> String {
    let what = match lost {
        Lost::Leaving | Lost::Refused => "it refused the check",
        Lost::Malformed => "its answer breaks HTTP/2",
        Lost::Broken => "it reset the connection",
    };
    what.to_owned()
}
