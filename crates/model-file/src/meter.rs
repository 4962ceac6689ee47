//! What one inspection may read and unpack in all, and whether it shall go on.
//!
//! Every byte that the readers of this crate see comes through a [`Metered`] source, the unpacked members of an archive included, so no
//! claim of a file makes an inspection longer than its budget, and a stop is seen within one read.

use std::cell::Cell;
use std::{fmt, io};

use crate::read_at::ReadAt;

/// The sum of all parts: heads, directories, pickles, unpacked members, each as often as it is read.
const BUDGET_BYTES: u64 = 256 * 1024 * 1024;
/// What a read costs besides its bytes.
const READ_COST_BYTES: u64 = 256;

/// The budget of one inspection.
pub(crate) struct Meter<'a> {
    left: Cell<u64>,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Meter<'a> {
    /// A full budget; `stop` is asked before each read.
    pub(crate) fn new(stop: &'a dyn Fn() -> bool) -> Self {
        Self { left: Cell::new(BUDGET_BYTES), stop }
    }

    /// Takes `bytes` from the budget. Once it is used up it stays so.
    pub(crate) fn charge(&self, bytes: u64) -> io::Result<()> {
        if (self.stop)() {
            return Err(io::Error::other(Interruption::Stopped));
        }
        let left = self.left.get().checked_sub(bytes + READ_COST_BYTES);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| io::Error::other(Interruption::OverBudget))
    }
}

/// A source that is read on the budget of an inspection.
pub(crate) struct Metered<'a, S: ?Sized> {
    pub(crate) source: &'a S,
    pub(crate) meter: &'a Meter<'a>,
}

impl<S: ReadAt + ?Sized> ReadAt for Metered<'_, S> {
    fn length(&self) -> io::Result<u64> {
        self.source.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.meter.charge(0)?;
        let read = self.source.read_at(buffer, offset)?;
        self.meter.charge(read as u64)?;
        Ok(read)
    }
}

/// Why a read did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    Stopped,
    OverBudget,
}

impl fmt::Display for Interruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stopped => "the inspection was stopped",
            Self::OverBudget => "the inspection is over its budget",
        })
    }
}

impl std::error::Error for Interruption {}

fn interruption(error: &io::Error) -> Option<Interruption> {
    error.get_ref()?.downcast_ref::<Interruption>().copied()
}

/// Whether a read failed because the caller asked for a stop.
pub(crate) fn is_stopped(error: &io::Error) -> bool {
    interruption(error) == Some(Interruption::Stopped)
}

/// Whether a read failed because the budget is used up.
pub(crate) fn is_over_budget(error: &io::Error) -> bool {
    interruption(error) == Some(Interruption::OverBudget)
}
