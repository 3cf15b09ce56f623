//! Trailers that are malformed in a way that h2 does not tell.

use crate::support::frames::{END_HEADERS, END_STREAM, FrameClient, frame, kind, request};
use crate::support::{TestGateway, TestNode, wait_until};

/// A stream's error (RFC 9113, 7).
const PROTOCOL_ERROR: u32 = 1;
/// `x-sum: 1`.
const SUM: &[u8] = b"\x00\x05x-sum\x011";

/// An upload on this stream, and what stands behind it.
fn upload(stream: u32, trailers: &[u8]) -> Vec<u8> {
    let frames = [
        frame(kind::HEADERS, END_HEADERS, stream, &request(3, "/")),
        frame(kind::DATA, 0, stream, b"test"),
        frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, trailers),
    ];
    frames.concat()
}

#[test]
fn pseudo_fields_in_trailers_end_their_stream_alone() {
    let node = TestNode::answering("hello");
    let gateway = TestGateway::before(&[&node]);
    let mut client = FrameClient::connect(gateway.address(), &[]);
    // `:method: GET` from the table, a name from there, and names that are spelt out, the last one in Huffman's code.
    let forms: [&[u8]; 4] =
        [&[0x82], b"\x02\x03PUT", b"\x00\x07:method\x03PUT", &[0x00, 0x84, 0xb9, 0x58, 0xd3, 0x3f, 1, b'/']];
    let mut stream = 1;
    for form in forms {
        for trailers in [form.to_vec(), [SUM, form].concat()] {
            client.send(&upload(stream, &trailers));
            let reset = client.wait_for(kind::RST_STREAM).expect("the connection goes on");
            assert_eq!((reset.stream, reset.code()), (stream, PROTOCOL_ERROR), "{trailers:x?}");
            stream += 2;
        }
    }
    client.send(&upload(stream, SUM));
    assert_eq!(client.wait_for(kind::HEADERS).map(|head| head.stream), Some(stream));
    let whole = || node.requests().iter().filter(|request| request.body.complete).count();
    wait_until("the good one arrives", || whole() > 0);
    assert_eq!(whole(), 1, "no node takes the others for whole");
    // h2 itself is strict with pseudo-fields behind others; what it resets is not counted one by one.
    assert_eq!(gateway.metric("bascule_refused_total", &[("kind", "syntax")]), 4.0);
}
