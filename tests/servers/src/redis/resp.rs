//! One command to a Redis on a connection of its own, and its answer as text (RESP2).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that does not answer for so long is not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks as this user, if there is one.
pub(super) fn ask(to: SocketAddr, user: Option<(&str, &str)>, command: &[&str]) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    if let Some((name, password)) = user {
        stream.write_all(&encode(&["AUTH", name, password]))?;
        read(&mut answers)?;
    }
    stream.write_all(&encode(command))?;
    read(&mut answers)
}

fn encode(command: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn read(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| io::Error::other("the connection ended"))?;
    let count = || rest.parse::<i64>().map_err(|_| io::Error::other(format!("no length: {line}")));
    match kind {
        "+" | "-" | ":" => Ok(rest.to_owned()),
        "$" => match usize::try_from(count()?) {
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Err(_) => Ok(String::new()), // nil
        },
        "*" => {
            let elements: io::Result<Vec<_>> = (0..count()?).map(|_| read(from)).collect();
            Ok(elements?.join("\n"))
        }
        _ => Err(io::Error::other(format!("no RESP: {line}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_is_text() {
        let mut answers: &[u8] = b"+OK\r\n-ERR no\r\n:7\r\n$2\r\n\r\n\r\n$-1\r\n*2\r\n$1\r\na\r\n:1\r\n!\r\n";
        let mut next = || read(&mut answers).map_err(|error| error.to_string());
        let expected = ["OK", "ERR no", "7", "\r\n", "", "a\n1"].map(|text| Ok(text.to_owned()));
        assert_eq!([next(), next(), next(), next(), next(), next()], expected);
        assert_eq!(next(), Err("no RESP: !".to_owned()));
        assert_eq!(next(), Err("the connection ended".to_owned()));
    }
}
