//! Heads of answers as no sane server sends them: each is given up in words, and its connection closed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use downloader::{Backoff, Settings, TransferError};

use crate::rig::{Rig, TIMEOUT, settings, side_by_side};

/// Tries until it is given up, the first included.
const TRIES: usize = 3;

/// What is sent, piece by piece.
type Pieces = Box<dyn Iterator<Item = Vec<u8>>>;
type Answer = fn() -> Pieces;

/// Sends pieces of an answer to whoever asks, and says when that one has closed the connection.
fn server(pieces: Answer) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().take(TRIES) {
            let (stream, closed) = (stream.unwrap(), closed.clone());
            thread::spawn(move || {
                answer(stream, pieces());
                let _ = closed.send(());
            });
        }
    });
    (address, told)
}

/// Returns when the other side has closed the connection.
fn answer(mut stream: TcpStream, mut pieces: Pieces) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    while pieces.next().is_some_and(|piece| stream.write_all(&piece).is_ok()) {}
    while stream.read(&mut request).is_ok_and(|read| read > 0) {}
}

fn once(text: String) -> Pieces {
    Box::new(std::iter::once(text.into_bytes()))
}

fn headers_for_ever() -> Pieces {
    Box::new(std::iter::once("HTTP/1.1 200 OK\r\n".into()).chain(std::iter::repeat("X-Y: z\r\n".repeat(100).into())))
}

#[tokio::test]
async fn no_head_of_an_answer_holds_up_a_file_or_a_connection_for_ever() {
    let table: [(&str, Answer); 8] = [
        ("a thousand headers", || once(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Y: z\r\n".repeat(1000)))),
        ("a header of a megabyte", || once(format!("HTTP/1.1 200 OK\r\nX-Y: {}\r\n\r\n", "z".repeat(1 << 20)))),
        ("headers without end", headers_for_ever),
        ("interim answers and no other", || once("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10_000))),
        ("no HTTP at all", || once("SSH-2.0-OpenSSH_9.7\r\n".repeat(100))),
        ("a status that is no number", || once("HTTP/1.1 OK 200\r\n\r\n".to_owned())),
        ("two lengths", || once("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!".to_owned())),
        ("half a head", || once("HTTP/1.1 200 OK\r\nContent-Len".to_owned())),
    ];
    side_by_side(table.into_iter().map(|(name, pieces)| async move {
        let (address, closed) = server(pieces);
        let backoff = Backoff { tries_without_progress: TRIES as u32 - 1, ..settings().backoff };
        let mut rig = Rig::with(Settings { stall_timeout: Duration::from_millis(500), backoff, ..settings() });
        let story = rig.fetch(rig.file("f.bin", &format!("http://{address}/f.bin"))).await;
        let error = story.error();
        assert!(matches!(error, TransferError::Network { .. } | TransferError::Stalled { .. }), "{name}: {error}");
        assert!(error.to_string().len() < 200, "{name}: {error}");
        rig.assert_absent("f.bin");
        let all_closed = move || (0..TRIES).all(|_| closed.recv_timeout(TIMEOUT / 2).is_ok());
        assert!(tokio::task::spawn_blocking(all_closed).await.unwrap(), "{name}: a connection stays open");
    }))
    .await;
}
