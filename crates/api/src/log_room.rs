//! How much room the log on disk may take in a day. Every request leaves a line, and whoever reaches the server can make many:
//! they must not fill the disk that the models are for.

use std::io::{self, Write};

use service::Clock;

const SECONDS_A_DAY: i64 = 86_400;

/// What stands last in the file of a day that is full.
const FULL: &[u8] =
    b"{\"level\":\"WARN\",\"message\":\"the log of this day has taken its room; what follows is not kept on disk\"}\n";

/// Takes lines as long as the day has room for them, and drops the rest.
pub(crate) struct DailyRoom<W, C> {
    file: W,
    clock: C,
    day: i64,
    /// `None`: it is full, and that was said.
    left: Option<u64>,
    most: u64,
}

impl<W: Write, C: Clock> DailyRoom<W, C> {
    /// `most` bytes a day, of which today's file has `written` already.
    pub(crate) fn new(file: W, clock: C, most: u64, written: u64) -> Self {
        let day = day_of(&clock);
        Self { file, clock, day, left: most.checked_sub(written), most }
    }
}

impl<W: Write, C: Clock> Write for DailyRoom<W, C> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let today = day_of(&self.clock);
        if today != self.day {
            (self.day, self.left) = (today, Some(self.most));
        }
        if let Some(left) = self.left {
            self.left = left.checked_sub(line.len() as u64);
            self.file.write_all(if self.left.is_some() { line } else { FULL })?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn day_of(clock: &impl Clock) -> i64 {
    clock.now().as_second().div_euclid(SECONDS_A_DAY)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use service::ManualClock;

    use super::*;

    #[test]
    fn a_day_takes_so_much_and_says_that_it_is_full_and_the_next_begins_anew() {
        let clock = ManualClock::at(1_000_000_000);
        let mut written = Vec::new();
        let mut room = DailyRoom::new(&mut written, clock.clone(), 25, 5);
        for _ in 0..1000 {
            room.write_all(b"0123456789").unwrap();
        }
        clock.advance(SECONDS_A_DAY * 1000);
        room.write_all(b"tomorrow\n").unwrap();
        let expected = [b"01234567890123456789".as_slice(), FULL, b"tomorrow\n"].concat();
        assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(expected).unwrap());
    }

    #[test]
    fn a_file_that_is_full_already_takes_nothing() {
        let mut written = Vec::new();
        DailyRoom::new(&mut written, ManualClock::at(0), 25, 26).write_all(b"more").unwrap();
        assert_eq!(written, b"");
    }
}
