//! Frames of the socket, byte by byte: what breaks a bound ends the connection at its head.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{TIMEOUT, World, program::Process};

/// Opens the socket and leaves the frames to the test.
async fn open_socket(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Reads to the end of the connection; the code of the close frame.
async fn close_code(stream: &mut TcpStream) -> Option<u16> {
    let mut heard = Vec::new();
    // A reset after the farewell is an end like any other.
    let _ = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut heard)).await.expect("the connection ends");
    let at = heard.windows(2).position(|head| head[0] == 0x88 && head[1] >= 2)?;
    Some(u16::from_be_bytes([heard[at + 2], heard[at + 3]]))
}

/// Each head alone, without a byte of what it announces: the server does not wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_judged_by_its_head() {
    let server = World::new().serve().await;
    let huge = [&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes()].concat();
    let beyond = [&[0x82, 0xff][..], &((1_u64 << 20) + 1).to_be_bytes()].concat();
    let endless = [&[0x81, 0xff][..], &u64::MAX.to_be_bytes()].concat();
    let second_fragment =
        [&[0x01, 0x80, 0, 0, 0, 0, 0x00, 0xff][..], &(1_u64 << 20).wrapping_add(1).to_be_bytes()].concat();
    for (name, bytes, code) in [
        ("a text of 2^40 bytes", huge, 1009),
        ("a binary frame of one byte too many", beyond, 1009),
        ("a length with its highest bit set", endless, 1009),
        ("a fragment beyond the limit", second_fragment, 1009),
        ("a control frame of 126 bytes", vec![0x89, 0xfe, 0, 126], 1002),
        ("a fragmented control frame", vec![0x09, 0x80], 1002),
        ("no mask", vec![0x81, 0x05], 1002),
        ("reserved bits", vec![0xc1, 0x80], 1002),
        ("an unknown opcode", vec![0x83, 0x80], 1002),
        ("a continuation of nothing", vec![0x80, 0x80], 1002),
        ("a message within a message", vec![0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80], 1002),
    ] {
        let mut stream = open_socket(&format!("127.0.0.1:{}", server.port)).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, Some(code), "{name}");
    }
}

/// Fragments without end are a message that is too large, however small each is.
#[tokio::test(flavor = "multi_thread")]
async fn fragments_without_end_are_one_message_too_large() {
    let server = World::new().serve().await;
    let mut stream = open_socket(&format!("127.0.0.1:{}", server.port)).await;
    let (mut from_server, mut to_server) = stream.split();
    let sending = async {
        let mut first = 0x01;
        loop {
            let mut pieces = Vec::new();
            for _ in 0..1000 {
                pieces.extend([first, 0x80 | 64, 0, 0, 0, 0]);
                pieces.extend([b'x'; 64]);
                first = 0x00;
            }
            if to_server.write_all(&pieces).await.is_err() {
                return;
            }
        }
    };
    let mut heard = Vec::new();
    let farewell = async {
        while !heard.windows(4).any(|frame| frame[0] == 0x88 && frame[2..] == 1009_u16.to_be_bytes()) {
            if from_server.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                return false;
            }
        }
        true
    };
    let said = async {
        let mut farewell = std::pin::pin!(farewell);
        tokio::select! { said = &mut farewell => said, () = sending => farewell.await }
    };
    assert!(tokio::time::timeout(TIMEOUT, said).await.expect("the connection ends"), "no farewell with 1009");
}

/// The attack as it was found: a declared length of 2^40, and then bytes as fast as they go.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_frame_too_large_are_not_kept() {
    let world = World::new();
    let process = Process::serve(&world).await;
    let mut stream = open_socket(&process.address).await;
    let before = anonymous_memory(&process);
    stream.write_all(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let (piece, mut sent) = (vec![b'x'; 1 << 20], 0_u64);
    let sending = async {
        while stream.write_all(&piece).await.is_ok() {
            sent += piece.len() as u64;
        }
    };
    tokio::time::timeout(TIMEOUT, sending).await.expect("the connection ends");
    let grown = anonymous_memory(&process).saturating_sub(before);
    assert!(grown < 16 << 20, "{sent} bytes were sent, and {grown} were kept");
}

/// Memory of the server that is neither file nor shared.
pub(super) fn anonymous_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}
