//! The log as server-sent events: what was, then what comes. A reader that is too slow is told how many lines it missed, and
//! a comment now and then keeps proxies from cutting the connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use service::logs::{LogFilter, LogLine};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::dto::logs::LogLine as Line;
use crate::ws::Hub;

/// How long the stream may say nothing.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The lines of before, then every new one that is wanted, until the server closes. `news` was subscribed before the look
/// back: a line between the two comes twice rather than never.
pub(crate) fn follow(
    before: Vec<LogLine>,
    news: Receiver<LogLine>,
    filter: LogFilter,
    hub: Arc<Hub>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + 'static {
    let mut heartbeats = interval(HEARTBEAT);
    heartbeats.reset();
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower { news, heartbeats, filter, hub };
    let after = stream::unfold(follower, |mut follower| async move { Some((follower.next().await?, follower)) });
    stream::iter(before.into_iter().map(event)).chain(after).map(Ok)
}

struct Follower {
    news: Receiver<LogLine>,
    heartbeats: Interval,
    filter: LogFilter,
    hub: Arc<Hub>,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let heard = tokio::select! {
                heard = self.news.recv() => heard,
                _ = self.heartbeats.tick() => return Some(Bytes::from_static(b": alive\n\n")),
                () = self.hub.closing() => return None,
            };
            match heard {
                Ok(line) if self.filter.takes(&line) => return Some(event(line)),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => return Some(format!(": {missed} lines were missed\n\n").into()),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn event(line: LogLine) -> Bytes {
    let json = serde_json::to_string(&Line::from(line)).unwrap_or_default();
    format!("data: {json}\n\n").into()
}
