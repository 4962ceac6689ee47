//! The core: one facade over catalogue, downloads, models and state, with SQLite beneath it.
//!
//! `Dashboard::start` gives the facade and the supervisor of its tasks. A request goes down: facade method, checks against
//! the catalogue and the disk, one transaction, one message to the downloader, one event. Progress comes up: downloader
//! update, `downloads::worker`, SQLite first, then the event. Nothing here knows JSON shapes, HTTP codes or units as text.

pub mod access;
mod clock;
pub mod comfy;
mod dashboard;
mod database;
pub mod downloads;
mod error;
pub mod events;
mod fits;
#[doc(hidden)]
pub mod fuzzing;
mod ids;
pub mod jobs;
pub mod json_bounds;
mod live;
pub mod logs;
mod may_replace;
mod model_dir;
pub mod models;
pub mod outputs;
pub mod own_file;
pub mod page;
pub mod presets;
pub mod prompts;
pub mod registry_sync;
mod retention;
mod revision;
mod settings;
mod supervisor;
pub mod system;
mod tasks;
pub mod text;
pub mod workflows;

pub use clock::{Clock, ManualClock, SystemClock};
pub use dashboard::Dashboard;
pub use downloader::{Credentials, PrivateSources, Secret, SourceUrl};
pub use error::{Error, RefusedWorkflow, Resource};
pub use gpu_probe::{Gpu, Source as GpuSource};
pub use may_replace::MayReplace;
pub use registry::{Catalog, ConfinedPath, Preset, PresetId};
pub use revision::{Revision, Sources};
pub use settings::{DatabasePlace, Settings};
pub use supervisor::Supervisor;
