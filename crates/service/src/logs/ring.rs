//! The last lines in memory. Who follows reads on where an answer ended: no line twice, and none missed but by who lets a
//! whole ring of them pass.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{LogFilter, LogLine, LogService};

/// How many lines are kept on each shelf, and as many of ComfyUI: none pushes another's out.
const CAPACITY: usize = 5000;
/// The shelves of this server, and ComfyUI.
const SHELVES: usize = 4;
const COMFYUI: usize = 3;
/// Bytes of a message that are kept.
const LONGEST_MESSAGE: usize = 8 * 1024;
/// How many lines of each a follower is given at once.
const BATCH: usize = 256;

/// The last lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogRing {
    kept: Arc<Mutex<[Kept; SHELVES]>>,
    pushed: watch::Sender<()>,
}

/// What kind of line of this server it is. Those that anybody can cause push no others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogShelf {
    /// Changes, failures, and all else.
    Kept,
    /// Logins that failed.
    Logins,
    /// Requests that changed nothing.
    Requests,
}

/// The last lines of one shelf.
#[derive(Debug, Default)]
struct Kept {
    /// How many made room: the number of the first line that is left.
    gone: u64,
    lines: VecDeque<LogLine>,
}

/// New lines, as a follower hears of them.
#[derive(Debug, Default)]
pub struct LogNews {
    /// Those that are wanted, oldest first.
    pub lines: Vec<LogLine>,
    /// How many were gone before they could be looked at.
    pub missed: u64,
}

/// Somebody who hears every line from an answer on.
#[derive(Debug)]
pub struct LogFollower {
    ring: LogRing,
    pushed: watch::Receiver<()>,
    filter: LogFilter,
    /// The number of the next line of each.
    next: [u64; SHELVES],
}

impl Default for LogRing {
    fn default() -> Self {
        Self { kept: Arc::default(), pushed: watch::Sender::new(()) }
    }
}

impl LogRing {
    /// Takes in a line that is kept; the oldest makes room.
    pub fn push(&self, line: LogLine) {
        self.push_to(LogShelf::Kept, line);
    }

    /// Takes in a line; the oldest one of its shelf makes room.
    pub fn push_to(&self, shelf: LogShelf, mut line: LogLine) {
        if line.message.len() > LONGEST_MESSAGE {
            let end = (0..=LONGEST_MESSAGE).rev().find(|at| line.message.is_char_boundary(*at)).unwrap_or(0);
            line.message.truncate(end);
        }
        let place = match (line.service, shelf) {
            (LogService::Comfyui, _) => COMFYUI,
            (_, LogShelf::Kept) => 0,
            (_, LogShelf::Logins) => 1,
            (_, LogShelf::Requests) => 2,
        };
        self.lock()[place].push(line);
        self.pushed.send_replace(());
    }

    /// The last `count` lines that are wanted, oldest first.
    pub fn tail(&self, count: usize, filter: &LogFilter) -> Vec<LogLine> {
        tail(&self.lock(), count, filter)
    }

    /// The same, and who hears every line after them.
    pub fn follow(&self, count: usize, filter: LogFilter) -> (Vec<LogLine>, LogFollower) {
        let kept = self.lock();
        let before = tail(&kept, count, &filter);
        let next = kept.each_ref().map(Kept::end);
        (before, LogFollower { ring: self.clone(), pushed: self.pushed.subscribe(), filter, next })
    }

    /// Whether anybody follows.
    pub(crate) fn is_followed(&self) -> bool {
        self.pushed.receiver_count() > 0
    }

    fn lock(&self) -> MutexGuard<'_, [Kept; SHELVES]> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tail(kept: &[Kept; SHELVES], count: usize, filter: &LogFilter) -> Vec<LogLine> {
    let latest = |kept: &Kept| {
        let wanted = kept.lines.iter().rev().filter(|line| filter.takes(line)).take(count);
        wanted.cloned().collect::<Vec<_>>().into_iter().rev()
    };
    let mut lines: Vec<LogLine> = kept.iter().flat_map(latest).collect();
    lines.sort_by_key(|line| line.at);
    lines.split_off(lines.len().saturating_sub(count))
}

impl Kept {
    fn push(&mut self, line: LogLine) {
        if self.lines.len() == CAPACITY {
            self.lines.pop_front();
            self.gone += 1;
        }
        self.lines.push_back(line);
    }

    /// The number of the line that comes next.
    fn end(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }
}

impl LogFollower {
    /// Waits for lines that are wanted. Nothing is lost where the wait is given up.
    pub async fn next(&mut self) -> LogNews {
        loop {
            self.pushed.borrow_and_update();
            match self.read_on() {
                Some(news) if news.lines.is_empty() && news.missed == 0 => {}
                Some(news) => return news,
                // The ring of this follower holds the sender: this only ends with a push.
                None => drop(self.pushed.changed().await),
            }
        }
    }

    /// The next lines, as far as they are wanted; `None` where there are none.
    fn read_on(&mut self) -> Option<LogNews> {
        let all = self.ring.lock();
        if self.next == all.each_ref().map(Kept::end) {
            return None;
        }
        let mut news = LogNews::default();
        for (kept, next) in all.iter().zip(&mut self.next) {
            let start = (*next).max(kept.gone);
            news.missed += start - *next;
            let unread = kept.lines.iter().skip(usize::try_from(start - kept.gone).unwrap_or(usize::MAX)).take(BATCH);
            *next = start + unread.len() as u64;
            news.lines.extend(unread.filter(|line| self.filter.takes(line)).cloned());
        }
        news.lines.sort_by_key(|line| line.at);
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::logs::LogLevel;

    fn line(service: LogService, number: usize) -> LogLine {
        let at = Timestamp::UNIX_EPOCH + jiff::Span::new().seconds(number as i64);
        LogLine { at, level: LogLevel::Info, service, message: number.to_string(), request_id: None }
    }

    fn numbers(lines: &[LogLine]) -> Vec<usize> {
        lines.iter().filter_map(|line| line.message.parse().ok()).collect()
    }

    #[tokio::test]
    async fn a_follower_reads_on_where_the_answer_ended_however_many_lines_come_at_once() {
        let ring = LogRing::default();
        (0..10).for_each(|number| ring.push(line(LogService::Dashboard, number)));
        let (before, mut follower) = ring.follow(3, LogFilter::default());
        assert_eq!(numbers(&before), [7, 8, 9]);
        (10..3010).for_each(|number| ring.push(line(LogService::Comfyui, number)));
        let mut heard = Vec::new();
        while heard.len() < 3000 {
            let news = follower.next().await;
            assert_eq!(news.missed, 0);
            heard.extend(numbers(&news.lines));
        }
        assert!(heard.into_iter().eq(10..3010));
    }

    #[tokio::test]
    async fn who_lets_a_whole_ring_pass_is_told_how_many_lines_were_missed() {
        let ring = LogRing::default();
        let filter = LogFilter { service: Some(LogService::Comfyui), ..LogFilter::default() };
        let (_, mut follower) = ring.follow(0, filter);
        (0..CAPACITY + 7).for_each(|number| ring.push(line(LogService::Comfyui, number)));
        let news = follower.next().await;
        assert_eq!((news.missed, numbers(&news.lines)[0]), (7, 7));
    }

    #[test]
    fn refused_requests_push_no_change_out() {
        let ring = LogRing::default();
        ring.push(line(LogService::Dashboard, 1));
        ring.push_to(LogShelf::Logins, line(LogService::Dashboard, 2));
        (3..CAPACITY * 2).for_each(|number| ring.push_to(LogShelf::Requests, line(LogService::Dashboard, number)));
        let all = ring.tail(usize::MAX, &LogFilter::default());
        assert_eq!((all.len(), numbers(&all[..2])), (CAPACITY + 2, vec![1, 2]));
    }

    #[test]
    fn much_of_one_pushes_nothing_of_the_other_out() {
        let ring = LogRing::default();
        ring.push(line(LogService::Dashboard, 1));
        (2..CAPACITY + 9).for_each(|number| ring.push(line(LogService::Comfyui, number)));
        let all = ring.tail(usize::MAX, &LogFilter::default());
        assert_eq!((all.len(), &all[0].message), (CAPACITY + 1, &"1".to_owned()));
    }
}
