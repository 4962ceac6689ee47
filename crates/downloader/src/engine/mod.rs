//! The queue: the handle, the scheduler and the run of one job. It starts transfers and knows nothing of their insides.

pub(crate) mod command;
pub(crate) mod download;
pub(crate) mod handle;
pub(crate) mod scheduler;
#[cfg(test)]
pub(crate) mod tests;
