//! The log as server-sent events: what was, then what comes. A reader that is too slow is told how many lines it missed, and
//! a comment now and then keeps proxies from cutting the connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use service::Dashboard;
use service::logs::{LogFollower, LogLine, LogNews};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::dto::logs::LogLine as Line;
use crate::middleware::authenticate::Asker;
use crate::ws::{Hub, Seat};

/// The lines of before, then every new one that is wanted, until the server closes or what the reader proved no longer holds.
/// Something is said, and that looked at, every `pace`.
pub(crate) fn follow(
    (before, news): (Vec<LogLine>, LogFollower),
    (hub, seat): (Arc<Hub>, Seat),
    (asker, dashboard): (Asker, Dashboard),
    pace: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + 'static {
    let mut heartbeats = interval(pace);
    heartbeats.reset();
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower { news, heartbeats, hub, _seat: seat };
    let after = stream::unfold(follower, |mut follower| async move { Some((follower.next().await?, follower)) });
    let credentials_end = async move { asker.credentials_end(&dashboard.access, pace).await };
    stream::iter(before.into_iter().map(event).map(Bytes::from)).chain(after).take_until(credentials_end).map(Ok)
}

struct Follower {
    news: LogFollower,
    heartbeats: Interval,
    hub: Arc<Hub>,
    /// It counts as a socket while it is followed.
    _seat: Seat,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            news = self.news.next() => Some(events(news)),
            _ = self.heartbeats.tick() => Some(Bytes::from_static(b": alive\n\n")),
            () = self.hub.closing() => None,
        }
    }
}

fn events(news: LogNews) -> Bytes {
    let missed = (news.missed > 0).then(|| format!(": {} lines were missed\n\n", news.missed));
    missed.into_iter().chain(news.lines.into_iter().map(event)).collect::<String>().into()
}

fn event(line: LogLine) -> String {
    let json = serde_json::to_string(&Line::from(line)).unwrap_or_default();
    format!("data: {json}\n\n")
}
