//! A bound on the memory that reading an input may take.

use crate::ALLOCATOR;

/// The most memory that a reader may use for an input.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// Whatever it reads: buffers, tables, messages.
    pub(crate) fixed: usize,
    /// For each byte of the input.
    pub(crate) per_byte: usize,
}

impl Limit {
    /// `per_byte`, and 1 MiB.
    pub(crate) const fn per_byte(per_byte: usize) -> Self {
        Self { fixed: 1 << 20, per_byte }
    }
}

/// Runs `read`, whose peak of memory must stay below the limit.
///
/// Counts the whole process, so no other thread may allocate meanwhile.
pub(crate) fn bounded<T>(input_bytes: usize, limit: Limit, read: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let outcome = read();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    let most = limit.fixed + limit.per_byte * input_bytes;
    assert!(peak <= most, "{peak} bytes of memory for {input_bytes} bytes of input; {most} are allowed");
    outcome
}
