//! What one client has yet to read. A tick replaces the one before it of the same download; everything else waits its turn,
//! up to a bound beyond which the client is too far behind to be kept.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use service::events::Channel;
use tokio::sync::Notify;

use super::message::Encoded;

/// Most messages that a client may lag behind.
const MOST_WAITING: usize = 1024;

/// What one client has yet to read, and the channels that it listens to.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    channels: BTreeSet<Channel>,
    is_lost: bool,
}

#[derive(Debug)]
struct Entry {
    message: Arc<Encoded>,
    /// The download that this is a tick of.
    tick_of: Option<Arc<str>>,
}

/// The client is so far behind that outcomes would be lost.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFarBehind;

impl Outbox {
    /// Takes a message that every listener of the channel gets.
    pub(super) fn offer(&self, channel: Channel, message: &Arc<Encoded>, tick_of: Option<&Arc<str>>) {
        let mut waiting = self.lock();
        if waiting.channels.contains(&channel) {
            waiting.add(Entry { message: Arc::clone(message), tick_of: tick_of.cloned() });
            drop(waiting);
            self.changed.notify_one();
        }
    }

    /// Takes a message for this client alone.
    pub(super) fn push(&self, message: Encoded) {
        self.lock().add(Entry { message: Arc::new(message), tick_of: None });
        self.changed.notify_one();
    }

    /// Gives the client up: something that it should have got is gone.
    pub(super) fn lose(&self) {
        self.lock().is_lost = true;
        self.changed.notify_one();
    }

    /// Adds channels; the answer is all that are listened to now.
    pub(super) fn subscribe(&self, channels: &[Channel]) -> Vec<Channel> {
        let mut waiting = self.lock();
        waiting.channels.extend(channels);
        waiting.channels.iter().copied().collect()
    }

    /// Takes channels away; the answer is all that are still listened to.
    pub(super) fn unsubscribe(&self, channels: &[Channel]) -> Vec<Channel> {
        let mut waiting = self.lock();
        waiting.channels.retain(|channel| !channels.contains(channel));
        waiting.channels.iter().copied().collect()
    }

    /// The next message, as soon as there is one.
    pub(super) async fn next(&self) -> Result<Arc<Encoded>, TooFarBehind> {
        loop {
            {
                let mut waiting = self.lock();
                if waiting.is_lost {
                    return Err(TooFarBehind);
                }
                if let Some(entry) = waiting.entries.pop_front() {
                    return Ok(entry.message);
                }
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, entry: Entry) {
        if entry.tick_of.is_some() {
            self.entries.retain(|other| other.tick_of != entry.tick_of);
        }
        if self.entries.len() < MOST_WAITING {
            self.entries.push_back(entry);
        } else if entry.tick_of.is_none() {
            self.is_lost = true;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn message(kind: &str) -> Arc<Encoded> {
        Arc::new(Encoded::new(kind, jiff::Timestamp::UNIX_EPOCH, &()))
    }

    fn listening() -> Outbox {
        let outbox = Outbox::default();
        outbox.subscribe(&[Channel::Downloads]);
        outbox
    }

    #[tokio::test]
    async fn a_newer_tick_takes_the_place_of_the_older_and_comes_after_what_happened_meanwhile() {
        let outbox = listening();
        let (one, two): (Arc<str>, Arc<str>) = ("dl_1".into(), "dl_2".into());
        outbox.offer(Channel::Downloads, &message("old"), Some(&one));
        outbox.offer(Channel::Downloads, &message("other"), Some(&two));
        outbox.offer(Channel::Downloads, &message("outcome"), None);
        outbox.offer(Channel::Downloads, &message("new"), Some(&one));
        for (seq, kind) in [(1, "other"), (2, "outcome"), (3, "new")] {
            let text = outbox.next().await.unwrap().numbered(seq);
            assert!(text.starts_with(&format!("{{\"type\":\"{kind}\",\"seq\":{seq},")), "{text}");
        }
    }

    #[tokio::test]
    async fn a_client_that_would_miss_an_outcome_is_given_up() {
        let outbox = listening();
        for _ in 0..MOST_WAITING {
            outbox.offer(Channel::Downloads, &message("outcome"), None);
        }
        outbox.offer(Channel::Downloads, &message("tick"), Some(&"dl_1".into()));
        assert!(outbox.next().await.is_ok());
        outbox.offer(Channel::Downloads, &message("outcome"), None);
        outbox.offer(Channel::Downloads, &message("outcome"), None);
        assert_eq!(outbox.next().await.err(), Some(TooFarBehind));
    }

    #[tokio::test]
    async fn nothing_comes_from_a_channel_that_is_not_listened_to() {
        let outbox = listening();
        assert_eq!(outbox.unsubscribe(&[Channel::Downloads]), []);
        outbox.offer(Channel::Downloads, &message("unheard"), None);
        outbox.push(Encoded::new("pong", jiff::Timestamp::UNIX_EPOCH, &()));
        assert!(outbox.next().await.unwrap().numbered(1).contains("pong"));
    }
}
