use std::future::poll_fn;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::Stream;

async fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (tcp, _) = listener.accept().await.expect("it connected");
    (Stream::new(tcp), client)
}

#[tokio::test]
async fn the_last_bytes_and_the_end_arrive_whole_however_much_it_is() {
    // The largest are more than sockets hold, so they leave in many parts.
    for length in [1, 1 << 10, 5 << 20] {
        for piece_count in [1, 3] {
            let (mut stream, mut client) = pair().await;
            let piece: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut pieces: [&[u8]; 3] = [b""; 3];
            pieces[..piece_count].fill(&piece);
            let writes = async {
                let (_, mut writer) = stream.split();
                writer.end_with_next();
                let mut written = 0;
                poll_fn(|cx| writer.poll_write(cx, pieces, &mut written)).await.expect("the client reads");
                drop(stream);
            };
            let mut got = Vec::new();
            let (read, ()) = tokio::join!(client.read_to_end(&mut got), writes);
            assert_eq!(read.expect("no reset"), length * piece_count);
            assert!(
                got == pieces.concat(),
                "{piece_count} pieces of {length} bytes are not what was written"
            );
        }
    }
}

#[tokio::test]
async fn who_writes_the_last_bytes_to_a_peer_that_is_gone_is_told() {
    let (mut stream, client) = pair().await;
    drop(client);
    let (_, mut writer) = stream.split();
    writer.end_with_next();
    let written = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), written).await.expect("it is told");
}
