//! What one client has yet to read. A tick replaces the one before it of the same download; everything else waits its turn,
//! up to a bound beyond which the client is too far behind to be kept. Answers to its own messages wait for room instead: a
//! client that does not read is not listened to. Of pictures only the latest waits, behind all words.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use service::events::Channel;
use tokio::sync::Notify;

use super::message::Encoded;

/// Most messages that a client may lag behind.
const MOST_WAITING: usize = 1024;
/// Most bytes of them. One message may be larger, if it is the only one.
const MOST_WAITING_BYTES: usize = 16 << 20;
/// As many messages and bytes may answer the client; the rest of the room is for what happens meanwhile.
const MOST_ANSWERS: usize = 256;
const MOST_ANSWERS_BYTES: usize = 1 << 20;

/// What one client has yet to read, and the channels that it listens to.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
    read: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
    channels: BTreeSet<Channel>,
    /// Channels of which a snapshot is being taken.
    unsettled: BTreeSet<Channel>,
    /// What came of them meanwhile: it follows the snapshot, since a snapshot may be older.
    held: VecDeque<Entry>,
    held_bytes: usize,
    wants_pictures: bool,
    picture: Option<Bytes>,
    is_lost: bool,
}

/// What is written next.
#[derive(Debug)]
pub(super) enum Next {
    /// A message.
    Text(Arc<Encoded>),
    /// A picture of what a node is at.
    Picture(Bytes),
}

#[derive(Debug)]
struct Entry {
    message: Arc<Encoded>,
    /// The download that this is a tick of.
    tick_of: Option<Arc<str>>,
}

/// The time in which a snapshot is pushed. What was held back meanwhile follows when this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct SnapshotTurn<'a>(&'a Outbox);

impl Drop for SnapshotTurn<'_> {
    fn drop(&mut self) {
        self.0.lock().settle();
        self.0.changed.notify_one();
    }
}

/// The client is so far behind that outcomes would be lost.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFarBehind;

impl Outbox {
    /// Takes a message that every listener of the channel gets.
    pub(super) fn offer(&self, channel: Channel, message: &Arc<Encoded>, tick_of: Option<&Arc<str>>) {
        let mut waiting = self.lock();
        if waiting.channels.contains(&channel) {
            let is_held = waiting.unsettled.contains(&channel);
            waiting.add(Entry { message: Arc::clone(message), tick_of: tick_of.cloned() }, is_held);
            drop(waiting);
            self.changed.notify_one();
        }
    }

    /// Takes a message for this client alone, as soon as there is room.
    pub(super) async fn push(&self, message: Encoded) {
        let entry = Entry { message: Arc::new(message), tick_of: None };
        loop {
            {
                let mut waiting = self.lock();
                if waiting.is_lost {
                    return;
                }
                if waiting.takes_an_answer() {
                    waiting.add(entry, false);
                    break;
                }
            }
            self.read.notified().await;
        }
        self.changed.notify_one();
    }

    /// Takes a picture, if the client asked for them.
    pub(super) fn offer_picture(&self, picture: &Bytes) {
        let mut waiting = self.lock();
        if waiting.wants_pictures && waiting.channels.contains(&Channel::Workflows) {
            waiting.picture = Some(picture.clone());
            drop(waiting);
            self.changed.notify_one();
        }
    }

    /// Whether pictures come too, while the client listens to workflows.
    pub(super) fn want_pictures(&self, wanted: bool) {
        self.lock().wants_pictures = wanted;
    }

    /// Gives the client up: something that it should have got is gone.
    pub(super) fn lose(&self) {
        self.lock().is_lost = true;
        self.changed.notify_one();
        self.read.notify_waiters();
        self.read.notify_one();
    }

    /// Adds channels; the answer is all that are listened to now. What happens on the new ones is held back until the
    /// snapshot of them is complete: the client never hears how something stood after it heard what became of it.
    pub(super) fn subscribe(&self, channels: &[Channel]) -> (Vec<Channel>, SnapshotTurn<'_>) {
        let mut waiting = self.lock();
        waiting.channels.extend(channels);
        waiting.unsettled.extend(channels);
        (waiting.channels.iter().copied().collect(), SnapshotTurn(self))
    }

    /// Takes channels away; the answer is all that are still listened to.
    pub(super) fn unsubscribe(&self, channels: &[Channel]) -> Vec<Channel> {
        let mut waiting = self.lock();
        waiting.channels.retain(|channel| !channels.contains(channel));
        waiting.channels.iter().copied().collect()
    }

    /// The next message, as soon as there is one.
    pub(super) async fn next(&self) -> Result<Next, TooFarBehind> {
        loop {
            {
                let mut waiting = self.lock();
                if waiting.is_lost {
                    return Err(TooFarBehind);
                }
                if let Some(entry) = waiting.entries.pop_front() {
                    waiting.bytes -= entry.message.size();
                    self.read.notify_one();
                    return Ok(Next::Text(entry.message));
                }
                if let Some(picture) = waiting.picture.take() {
                    return Ok(Next::Picture(picture));
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
    fn add(&mut self, entry: Entry, is_held: bool) {
        if entry.tick_of.is_some() {
            let tick_of = &entry.tick_of;
            for (queue, bytes) in [(&mut self.entries, &mut self.bytes), (&mut self.held, &mut self.held_bytes)] {
                queue.retain(|other| {
                    let stays = other.tick_of != *tick_of;
                    *bytes -= if stays { 0 } else { other.message.size() };
                    stays
                });
            }
        }
        let (size, waiting) = (entry.message.size(), self.entries.len() + self.held.len());
        let bytes = self.bytes.saturating_add(self.held_bytes);
        let has_room = waiting == 0 || bytes.saturating_add(size) <= MOST_WAITING_BYTES;
        if waiting >= MOST_WAITING || !has_room {
            self.is_lost |= entry.tick_of.is_none();
        } else if is_held {
            self.held_bytes += size;
            self.held.push_back(entry);
        } else {
            self.bytes += size;
            self.entries.push_back(entry);
        }
    }

    /// Lets what was held back follow.
    fn settle(&mut self) {
        self.unsettled.clear();
        self.entries.append(&mut self.held);
        self.bytes += std::mem::take(&mut self.held_bytes);
    }

    fn takes_an_answer(&self) -> bool {
        self.entries.len() < MOST_ANSWERS && self.bytes < MOST_ANSWERS_BYTES
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn message(kind: &str) -> Arc<Encoded> {
        Arc::new(Encoded::new(kind, jiff::Timestamp::UNIX_EPOCH, &()))
    }

    fn listening() -> Outbox {
        let outbox = Outbox::default();
        drop(outbox.subscribe(&[Channel::Downloads]));
        outbox
    }

    async fn next_text(outbox: &Outbox, seq: u64) -> String {
        match outbox.next().await.unwrap() {
            Next::Text(message) => message.numbered(seq),
            Next::Picture(picture) => panic!("{picture:?}"),
        }
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
            let text = next_text(&outbox, seq).await;
            assert!(text.starts_with(&format!("{{\"type\":\"{kind}\",\"seq\":{seq},")), "{text}");
        }
    }

    /// A picture of how things stood, read before an outcome and pushed after it, comes before it.
    #[tokio::test]
    async fn outcomes_follow_the_snapshot_they_overtook() {
        let outbox = Outbox::default();
        let snapshot = |kind: &str| Encoded::snapshot(kind, jiff::Timestamp::UNIX_EPOCH, &());
        let (_, turn) = outbox.subscribe(&[Channel::Downloads]);
        outbox.offer(Channel::Downloads, &message("tick"), Some(&"dl_1".into()));
        outbox.offer(Channel::Downloads, &message("later_tick"), Some(&"dl_1".into()));
        outbox.offer(Channel::Downloads, &message("outcome"), None);
        outbox.push(snapshot("stale_progress")).await;
        assert!(next_text(&outbox, 1).await.contains("stale_progress"));
        outbox.push(snapshot("another")).await;
        drop(turn);
        outbox.offer(Channel::Downloads, &message("news"), None);
        for kind in ["another", "later_tick", "outcome", "news"] {
            let text = next_text(&outbox, 2).await;
            assert!(text.starts_with(&format!("{{\"type\":\"{kind}\"")), "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_held_back_is_bounded_too() {
        let outbox = Outbox::default();
        let (_, turn) = outbox.subscribe(&[Channel::Downloads]);
        for _ in 0..=MOST_WAITING {
            outbox.offer(Channel::Downloads, &message("outcome"), None);
        }
        drop(turn);
        assert_eq!(outbox.next().await.err(), Some(TooFarBehind));
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
    async fn only_the_latest_picture_waits_behind_all_words_and_only_for_those_who_asked() {
        let outbox = listening();
        drop(outbox.subscribe(&[Channel::Workflows]));
        outbox.offer_picture(&Bytes::from_static(b"unasked"));
        outbox.want_pictures(true);
        outbox.offer_picture(&Bytes::from_static(b"old"));
        outbox.offer_picture(&Bytes::from_static(b"new"));
        outbox.push(Encoded::new("pong", jiff::Timestamp::UNIX_EPOCH, &())).await;
        assert!(next_text(&outbox, 1).await.contains("pong"));
        assert!(matches!(outbox.next().await.unwrap(), Next::Picture(picture) if picture == "new"));
    }

    #[tokio::test]
    async fn nothing_comes_from_a_channel_that_is_not_listened_to() {
        let outbox = listening();
        assert_eq!(outbox.unsubscribe(&[Channel::Downloads]), []);
        outbox.offer(Channel::Downloads, &message("unheard"), None);
        outbox.push(Encoded::new("pong", jiff::Timestamp::UNIX_EPOCH, &())).await;
        assert!(next_text(&outbox, 1).await.contains("pong"));
    }

    #[tokio::test]
    async fn a_client_that_reads_gets_any_number_of_answers_while_outcomes_come() {
        let outbox = Arc::new(listening());
        let answers = Arc::clone(&outbox);
        let asked = tokio::spawn(async move {
            for _ in 0..3 * MOST_WAITING {
                answers.push(Encoded::new("answer", jiff::Timestamp::UNIX_EPOCH, &())).await;
            }
        });
        let mut heard = 0;
        for seq in 0.. {
            outbox.offer(Channel::Downloads, &message("tick"), Some(&"dl_1".into()));
            if seq % 100 == 0 {
                outbox.offer(Channel::Downloads, &message("outcome"), None);
            }
            heard += usize::from(next_text(&outbox, seq).await.contains("answer"));
            tokio::task::yield_now().await;
            if heard == 3 * MOST_WAITING {
                break;
            }
        }
        asked.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_not_listened_to_until_it_does() {
        let outbox = listening();
        let large = || Encoded::new("pong", jiff::Timestamp::UNIX_EPOCH, &"x".repeat(MOST_ANSWERS_BYTES));
        outbox.push(large()).await;
        let second = outbox.push(large());
        let mut second = std::pin::pin!(second);
        assert!(second.as_mut().now_or_never().is_none(), "there is no room");
        assert!(outbox.next().await.is_ok());
        second.await;
        let third = outbox.push(large());
        outbox.lose();
        third.await;
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_too() {
        let outbox = listening();
        let large = Arc::new(Encoded::new("outcome", jiff::Timestamp::UNIX_EPOCH, &"x".repeat(MOST_WAITING_BYTES)));
        outbox.offer(Channel::Downloads, &large, None);
        assert!(outbox.next().await.is_ok(), "one that is larger than all that may wait is still told");
        outbox.offer(Channel::Downloads, &large, Some(&"dl_1".into()));
        outbox.offer(Channel::Downloads, &large, Some(&"dl_1".into()));
        assert!(outbox.next().await.is_ok(), "the room of a tick that was replaced is free again");
        outbox.offer(Channel::Downloads, &large, None);
        outbox.offer(Channel::Downloads, &large, None);
        assert_eq!(outbox.next().await.err(), Some(TooFarBehind));
    }
}
