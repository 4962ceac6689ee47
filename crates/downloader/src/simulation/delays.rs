//! Threads as the simulation has them: the work is done on the one thread there is, at once, after a while.

use std::panic::Location;

use super::chance::Chance;
use crate::threads::{Dispatch, Dispatcher};

#[derive(Debug)]
pub(crate) struct Delays(pub(crate) Chance);

impl Dispatcher for Delays {
    fn dispatch(&self, _: &Location<'_>) -> Dispatch {
        Dispatch { on_runtime_after: Some(self.0.milliseconds(0..3)), ..Dispatch::default() }
    }
}
