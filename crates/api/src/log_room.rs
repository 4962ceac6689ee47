//! The daily log quota, on disk and on stderr. Any client can cause log lines; they must neither fill the disk nor displace
//! important lines, so each kind of line has a quota of its own.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use service::{Clock, access::FAILED_LOGIN, logs::LogShelf, text};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// The target of lines about requests that changed nothing: what was read, and what was refused.
pub(crate) const OTHER_REQUESTS: &str = "api::middleware::request::other";

const SECONDS_A_DAY: i64 = 86_400;

/// Bytes a day for changes, logins, failures and all else that nobody can cause at will: some 150,000 lines.
const KEPT_A_DAY: u64 = 32 << 20;
/// Bytes a day for logins that failed.
const LOGINS_A_DAY: u64 = 8 << 20;
/// Bytes a day for requests that changed nothing.
const REQUESTS_A_DAY: u64 = 24 << 20;

/// Bytes of a line. What is longer is cut.
const LONGEST_LINE: usize = 8 << 10;

/// The shelf that a line belongs to, by its target.
pub(crate) fn shelf_of(target: &str) -> LogShelf {
    match target {
        OTHER_REQUESTS => LogShelf::Requests,
        FAILED_LOGIN => LogShelf::Logins,
        _ => LogShelf::Kept,
    }
}

/// Gives each kind of line a room of its own.
pub(crate) struct Rooms<W, C> {
    kept: Mutex<DailyRoom<W, C>>,
    logins: Mutex<DailyRoom<W, C>>,
    requests: Mutex<DailyRoom<W, C>>,
}

impl<W: Write, C: Clock + Clone> Rooms<W, C> {
    /// Rooms that write to what `writer` gives, where `written` bytes were taken today already. Those count against what
    /// matters least first.
    pub(crate) fn new(writer: impl Fn() -> W, clock: C, format: Format, written: u64) -> Self {
        let mut unassigned = written;
        let mut room = |name, most: u64| {
            let taken = unassigned.min(most);
            unassigned -= taken;
            Mutex::new(DailyRoom::new(writer(), clock.clone(), format, name, most, taken))
        };
        let requests = room("requests that changed nothing", REQUESTS_A_DAY);
        let logins = room("failed logins", LOGINS_A_DAY);
        Self { requests, logins, kept: room("changes and failures", KEPT_A_DAY) }
    }

    fn room(&self, shelf: LogShelf) -> RoomWriter<'_, W, C> {
        let room = match shelf {
            LogShelf::Kept => &self.kept,
            LogShelf::Logins => &self.logins,
            LogShelf::Requests => &self.requests,
        };
        RoomWriter(room.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A room while a line is written to it.
pub struct RoomWriter<'a, W, C>(MutexGuard<'a, DailyRoom<W, C>>);

impl<W: Write, C: Clock> Write for RoomWriter<'_, W, C> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a, W: Write + 'a, C: Clock + Clone> MakeWriter<'a> for Rooms<W, C> {
    type Writer = RoomWriter<'a, W, C>;

    fn make_writer(&'a self) -> Self::Writer {
        self.room(LogShelf::Kept)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.room(shelf_of(metadata.target()))
    }
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Takes lines as long as the day has room for them, and drops the rest.
struct DailyRoom<W, C> {
    writer: W,
    clock: C,
    format: Format,
    name: &'static str,
    day: i64,
    /// `None`: it is full, and that was said.
    left: Option<u64>,
    most: u64,
}

impl<W: Write, C: Clock> DailyRoom<W, C> {
    /// `most` bytes a day, of which `taken` are gone today already.
    fn new(writer: W, clock: C, format: Format, name: &'static str, most: u64, taken: u64) -> Self {
        let day = day_of(&clock);
        Self { writer, clock, format, name, day, left: Some(most.saturating_sub(taken)), most }
    }

    /// Stands last in the room of a day that is full.
    fn last_words(&self) -> Vec<u8> {
        said(self.format, &format!("the log of {} has taken its room for today; what follows is left out", self.name))
    }
}

impl<W: Write, C: Clock> Write for DailyRoom<W, C> {
    /// A line that cannot be written is lost: there is nowhere to say so.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let today = day_of(&self.clock);
        if today != self.day {
            (self.day, self.left) = (today, Some(self.most));
        }
        let shorter = (line.len() > LONGEST_LINE).then(|| shortened(self.format, line));
        let taken = shorter.as_deref().unwrap_or(line);
        if let Some(left) = self.left {
            self.left = left.checked_sub(taken.len() as u64);
            let _ = match self.left {
                Some(_) => self.writer.write_all(taken),
                None => self.writer.write_all(&self.last_words()),
            };
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// How a line begins that is longer than is kept.
fn shortened(format: Format, line: &[u8]) -> Vec<u8> {
    let begin = String::from_utf8_lossy(line.get(..LONGEST_LINE / 2).unwrap_or(line));
    match format {
        Format::Text => [begin.as_bytes(), "…\n".as_bytes()].concat(),
        Format::Json => {
            said(format, &format!("a line of {} bytes was cut; it begins: {}", line.len(), text::cut(&begin)))
        }
    }
}

fn said(format: Format, message: &str) -> Vec<u8> {
    let line = match format {
        Format::Text => format!("WARN {message}\n"),
        Format::Json => format!("{}\n", serde_json::json!({"level": "WARN", "message": message})),
    };
    line.into_bytes()
}

fn day_of(clock: &impl Clock) -> i64 {
    clock.now().as_second().div_euclid(SECONDS_A_DAY)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::sync::Arc;

    use service::ManualClock;

    use super::*;

    /// What was written, shared by the rooms.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn day_takes_so_much_says_that_it_is_full_and_begins_anew() {
        let (clock, written) = (ManualClock::at(1_000_000_000), Written::default());
        let mut room = DailyRoom::new(written.clone(), clock.clone(), Format::Json, "x", 25, 5);
        for _ in 0..1000 {
            room.write_all(b"0123456789").unwrap();
        }
        clock.advance(SECONDS_A_DAY * 1000);
        room.write_all(b"tomorrow\n").unwrap();
        let full = String::from_utf8(room.last_words()).unwrap();
        assert_eq!(written.text(), format!("01234567890123456789{full}tomorrow\n"));
    }

    /// Refused requests take the room of refused requests, and a login or change after them is written.
    #[test]
    fn flood_of_refusals_leaves_room_for_changes() {
        let (clock, written) = (ManualClock::at(0), Written::default());
        let rooms = Rooms::new(|| written.clone(), clock.clone(), Format::Text, 0);
        let line = [b'x'; 4096];
        for shelf in [LogShelf::Requests, LogShelf::Logins] {
            (0..10_000).for_each(|_| rooms.room(shelf).write_all(&line).unwrap());
        }
        let flooded = written.0.lock().unwrap().len() as u64;
        assert!(flooded <= REQUESTS_A_DAY + LOGINS_A_DAY + 1000, "{flooded}");
        rooms.room(LogShelf::Kept).write_all(b"a key was made\n").unwrap();
        assert!(written.text().ends_with("a key was made\n"));
    }

    /// A restart within the day gives nobody the room again.
    #[test]
    fn restart_counts_what_was_written_today() {
        let written = Written::default();
        let taken = REQUESTS_A_DAY + LOGINS_A_DAY;
        let rooms = Rooms::new(|| written.clone(), ManualClock::at(0), Format::Text, taken);
        rooms.room(LogShelf::Requests).write_all(b"refused\n").unwrap();
        rooms.room(LogShelf::Kept).write_all(b"changed\n").unwrap();
        assert!(!written.text().contains("refused\n") && written.text().ends_with("changed\n"));
    }

    #[test]
    fn long_line_is_cut_and_stays_a_line_of_its_format() {
        let written = Written::default();
        let mut room = DailyRoom::new(written.clone(), ManualClock::at(0), Format::Json, "x", 1 << 20, 0);
        room.write_all(format!("{{\"message\":\"{}\"}}\n", "é".repeat(100_000)).as_bytes()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&written.text()).unwrap();
        assert!(line["message"].as_str().unwrap().starts_with("a line of 200015 bytes was cut"), "{line}");
        assert!(written.text().len() < 2000);
    }
}
