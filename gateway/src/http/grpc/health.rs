//! The two messages of gRPC's health checks (grpc.health.v1), by hand: a string and a number are no reason for a code generator.

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// `HealthCheckResponse.status` of a server that serves.
const SERVING: u64 = 1;

/// The body that asks for a service; an empty name asks for the server as a whole.
pub fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, a string.
        message.push(0x0a);
        write_number(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(&message);
    body
}

/// Whether the answer is that it serves.
///
/// # Errors
/// What is wrong with the answer, as a sentence without its full stop.
pub fn serving(body: &[u8]) -> Result<bool, &'static str> {
    let Some(([compressed, length @ ..], message)) = body.split_first_chunk::<PREFIX>() else {
        return Err("its answer has no message");
    };
    if *compressed != 0 || u32::from_be_bytes(*length) as usize != message.len() {
        return Err("its answer is not one plain message");
    }
    status(message).map(|status| status == SERVING).ok_or("its answer is no message of a health check")
}

/// Field 1 of a message, 0 if it has none; fields of later versions are skipped.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let key = read_number(&mut message)?;
        match key & 7 {
            0 => {
                let value = read_number(&mut message)?;
                if key >> 3 == 1 {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(read_number(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_a_service_or_none() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = "x".repeat(300);
        assert_eq!(question(&long)[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
    }

    #[test]
    fn an_answer_says_whether_it_serves() {
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Ok(true));
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 2]), Ok(false), "NOT_SERVING");
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Ok(false), "UNKNOWN");
        assert_eq!(serving(&[0, 0, 0, 0, 6, 0x12, 2, b'a', b'b', 8, 1]), Ok(true), "with a field of later");
    }

    #[test]
    fn nonsense_is_refused() {
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\0\0\0\x01\x08",
            b"\0\0\0\0\x02\x12\x09",
            b"\0\0\0\0\x01\x0b",
            b"\0\0\0\0\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(serving(body).is_err(), "{body:?}");
        }
    }
}
