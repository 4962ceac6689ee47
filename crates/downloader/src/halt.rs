//! Why a transfer ends without a file. The rooms below `transfer` answer with it as well.

use crate::TransferError;

/// Why a transfer ended without a file.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It was told to stop; what arrived is safe.
    Stopped,
    /// There is no room.
    Shortage(Shortage),
    Failed(TransferError),
}

impl From<TransferError> for Halt {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::InsufficientStorage { needed_bytes, available_bytes } => {
                Self::Shortage(Shortage { needed: needed_bytes, available: Some(available_bytes) })
            }
            error => Self::Failed(error),
        }
    }
}

/// There is not enough room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) needed: u64,
    /// Nothing where the file system does not say.
    pub(crate) available: Option<u64>,
}

impl Shortage {
    /// Whether the figures bear it out: then they tell by themselves when there is room again.
    pub(crate) fn shows(self) -> bool {
        self.available.is_some_and(|available| available < self.needed)
    }
}
