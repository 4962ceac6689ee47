//! What the GPUs of this machine are, as far as its NVIDIA driver or its owner says.
//!
//! No driver is an ordinary state: an empty list, never an error, and [`Probe::reason`] says why. It must not know ComfyUI (which
//! names the GPUs of other makers), the environment, the clock or who asks. Calls block: the caller keeps them off async workers.

mod gpu;
mod nvml;
mod probe;

pub use gpu::{Gpu, Source};
pub use probe::{Options, Probe};
