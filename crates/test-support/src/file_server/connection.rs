//! One connection: reads heads, asks the server what to answer, writes the answer, keeps the connection where it may.

use super::answer::Answer;
use super::body::{self, Written};
use super::pace::Pacer;
use super::plan::{Delivery, Ending, Plan};
use super::request::{Outcome, Request};
use super::shared::Shared;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A longer head is not answered.
const LONGEST_HEAD: usize = 64 << 10;

/// Serves one connection to its end. Errors of the socket end it; they mean that the client left.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>, number: usize) {
    let _ = stream.set_nodelay(true);
    let mut unread = Vec::new();
    let mut pacer = Pacer::new();
    while let Ok(Some(head)) = read_head(&mut stream, &mut unread).await {
        let Some(request) = shared.recorder.add(|count| Request::parse(&head, count, number)) else {
            return;
        };
        let plan = shared.plan(&request);
        let keep = match respond(&mut stream, &shared, &request, &plan, &mut pacer).await {
            Ok((outcome, keep)) => {
                shared.recorder.ended(request.number, outcome);
                keep
            }
            Err(_) => {
                shared.recorder.ended(request.number, Outcome::ClientLeft);
                false
            }
        };
        if !keep || request.wants_close() {
            return;
        }
    }
}

/// Reads up to the empty line; what lies behind it stays in `unread`. `None`: the client is done.
async fn read_head(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = unread.split_off(end + 4);
            let mut head = std::mem::replace(unread, rest);
            head.truncate(end);
            return Ok(Some(head));
        }
        if unread.len() > LONGEST_HEAD || stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

/// Writes one answer. Says how it ended and whether the connection lives on.
async fn respond(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &Request,
    plan: &Plan,
    pacer: &mut Pacer,
) -> io::Result<(Outcome, bool)> {
    let delivery = &plan.delivery;
    tokio::time::sleep(delivery.delay).await;
    if delivery.stall_before_head {
        body::client_left(stream).await;
        return Ok((Outcome::ClientLeft, false));
    }
    let answer = Answer::make(request, plan);
    stream.write_all(&answer.head()).await?;
    shared.recorder.answered(request.number, answer.status);
    if request.method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok((Outcome::Complete, !answer.closes));
    }
    write_body(stream, shared, request, &answer, delivery, pacer).await
}

async fn write_body(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &Request,
    answer: &Answer,
    delivery: &Delivery,
    pacer: &mut Pacer,
) -> io::Result<(Outcome, bool)> {
    let sent = |bytes| shared.sent(request, bytes);
    match body::write(stream, answer, delivery, pacer, sent).await? {
        Written::Whole => Ok((Outcome::Complete, !answer.closes)),
        Written::ClientLeft => Ok((Outcome::ClientLeft, false)),
        Written::Ended(Ending::Cut) => Ok((Outcome::BrokenOff, false)),
        Written::Ended(Ending::Reset) => {
            stream.set_zero_linger()?;
            Ok((Outcome::BrokenOff, false))
        }
        Written::Ended(Ending::Stall) => {
            body::client_left(stream).await;
            Ok((Outcome::ClientLeft, false))
        }
    }
}
