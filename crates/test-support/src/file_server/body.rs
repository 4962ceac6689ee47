//! Writes the body of an answer: piece by piece, at its pace, up to its gates, to its end or its ordered failure.

use super::answer::Answer;
use super::pace::Pacer;
use super::plan::{Delivery, Ending, Framing};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Pieces are this large at most, so that gates and failures come exactly and memory stays flat.
const PIECE: u64 = 128 << 10;

/// How writing ended, where it did not end with an error of the socket.
pub(super) enum Written {
    Whole,
    Ended(Ending),
    ClientLeft,
}

/// Sends the body; `sent` hears of each piece as the socket has taken it.
pub(super) async fn write(
    stream: &mut TcpStream,
    answer: &Answer,
    delivery: &Delivery,
    pacer: &mut Pacer,
    sent: impl Fn(u64),
) -> io::Result<Written> {
    pacer.begin();
    let total = answer.length + answer.extra;
    let mut done = 0;
    let mut buffer = Vec::new();
    loop {
        if let Some((after, ending)) = delivery.ending
            && done >= after
        {
            return Ok(Written::Ended(ending));
        }
        if done == total {
            break;
        }
        let wanted = piece_length(answer, delivery, done);
        let Some(length) = admitted(stream, delivery, answer.first + done, wanted).await else {
            return Ok(Written::ClientLeft);
        };
        wait_for_pace(delivery, pacer, length).await;
        make_piece(answer, delivery, done, length, &mut buffer);
        stream.write_all(&buffer).await?;
        done += length;
        sent(length);
    }
    if answer.framing == Framing::Chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(Written::Whole)
}

/// The next piece ends at the first of: its largest size, the end of the true bytes, the end of all bytes, the failure.
fn piece_length(answer: &Answer, delivery: &Delivery, done: u64) -> u64 {
    let mut length = PIECE.min(answer.length + answer.extra - done);
    if done < answer.length {
        length = length.min(answer.length - done);
    }
    if let Some((after, _)) = delivery.ending {
        length = length.min(after - done);
    }
    if let Some((bytes, _)) = delivery.trickle {
        length = length.min(bytes);
    }
    if let Some(rate) = delivery.rate {
        length = length.min(Pacer::piece(rate));
    }
    length.max(1)
}

/// How many bytes the gates let through, waiting at a closed one. `None`: the client left meanwhile.
async fn admitted(stream: &TcpStream, delivery: &Delivery, offset: u64, wanted: u64) -> Option<u64> {
    let mut length = wanted;
    for gate in &delivery.gates {
        loop {
            match gate.admit(offset, length) {
                0 => tokio::select! {
                    // Who has left gets nothing more when the gate opens.
                    biased;
                    () = client_left(stream) => return None,
                    () = gate.opened() => {}
                },
                admitted => {
                    length = admitted;
                    break;
                }
            }
        }
    }
    Some(length)
}

async fn wait_for_pace(delivery: &Delivery, pacer: &mut Pacer, length: u64) {
    if let Some((_, interval)) = delivery.trickle {
        tokio::time::sleep(interval).await;
    }
    if let Some(rate) = delivery.rate {
        pacer.wait(length, rate).await;
    }
}

fn make_piece(answer: &Answer, delivery: &Delivery, done: u64, length: u64, buffer: &mut Vec<u8>) {
    buffer.clear();
    if answer.framing == Framing::Chunked {
        buffer.extend(format!("{length:x}\r\n").bytes());
    }
    let start = buffer.len();
    buffer.resize(start + length as usize, b'+');
    if done < answer.length {
        answer.body.fill(answer.first + done, &mut buffer[start..]);
    }
    for corrupted in &delivery.corrupted {
        let place = corrupted.checked_sub(answer.first + done).filter(|place| *place < length);
        if let Some(place) = place {
            buffer[start + place as usize] ^= 0xff;
        }
    }
    if answer.framing == Framing::Chunked {
        buffer.extend(b"\r\n");
    }
}

/// Returns when the client has closed its side. Bytes that it sends meanwhile stay unread.
pub(super) async fn client_left(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
