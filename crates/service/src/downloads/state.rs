//! The words for where a download, its files and its urgency stand. They are those of the database and of every answer.

/// A place within a priority, lowest first: 0 to 2^31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(u32);

impl Position {
    /// The largest one that somebody may ask for. New downloads go behind it.
    pub const LARGEST: u32 = 1 << 31;

    /// The position of a number; `None` outside 0 to 2^31.
    pub fn new(number: i64) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number <= Self::LARGEST).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Where in the queue a download shall stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueuePlace {
    /// At this position of its priority.
    Position(Position),
    /// Right before this download, in that one's priority.
    Before(String),
}
