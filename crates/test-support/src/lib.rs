//! Servers that misbehave on order, for tests only: files, ComfyUI, a registry, NVML.
//!
//! Each module stands in for one thing that cannot run in a test, but for `requirements`: what a test needs of the machine.
//! Nothing here is linked into the binary.

pub mod fake_civitai;
pub mod fake_comfy;
pub mod fake_hub;
pub mod fake_nvml;
pub mod fake_registry;
pub mod file_server;
pub mod requirements;
pub mod tls_front;
pub mod tunnel;
