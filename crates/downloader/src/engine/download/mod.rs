//! One job while it runs.

pub(crate) mod run;
pub(crate) mod speed;
