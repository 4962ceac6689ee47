//! Tests of the whole engine that need the small sizes or the faults of this crate's insides.

pub(crate) mod blocking;
pub(crate) mod crosstalk;
pub(crate) mod panics;
