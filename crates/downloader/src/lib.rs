//! How files arrive: ranges, journals, hashes and retries, from a URL to a whole and verified file.
//!
//! A [`Downloader`] is a cheap handle that sends messages to one scheduler loop. A [`Job`] is a list of files that
//! belong together; each [`FileJob`] names a [`Destination`] below a root folder and one or more [`SourceUrl`]s of the
//! same content. What happens comes back as [`Update`]s on one bounded channel.
//!
//! ```no_run
//! use downloader::{Destination, Downloader, FileJob, Job, JobEvent, JobId, Settings, SourceUrl};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (downloader, mut updates, engine) = Downloader::new(Settings::default())?;
//! tokio::spawn(engine);
//!
//! let destination = Destination::new("/models", "vae/ae.safetensors")?;
//! let source = SourceUrl::parse("hf://org/repo/ae.safetensors@main")?;
//! downloader.enqueue(Job::new(JobId::new("dl_1"), vec![FileJob::new(destination, vec![source])])).await?;
//!
//! while let Some(update) = updates.recv().await {
//!     match update.event {
//!         JobEvent::FileCompleted { outcome, .. } => println!("whole: sha256 {}", outcome.sha256),
//!         JobEvent::Failed { error, .. } => return Err(error.into()),
//!         JobEvent::Completed => break,
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! What it promises, and where a reader finds it:
//!
//! - A file under its final name is whole and hashed; before that its bytes live in `NAME.part`, and `NAME.part.journal`
//!   says which of them are believed. Nothing else is written.
//! - It knows nothing of presets, databases, or who watches.

mod address_policy;
mod answer;
mod bandwidth;
mod blocks;
mod client;
mod command;
mod confined;
mod connections;
mod destination;
mod destinations;
mod digest;
mod downloader;
mod error;
mod establish;
mod fetch;
mod fetching;
mod file_name;
mod finish;
mod identity;
mod incoming;
mod job;
mod job_run;
mod journal;
mod local_copy;
mod meter;
mod outbox;
mod part;
mod probe;
mod recovery;
mod refusal;
mod retry;
mod salvage;
mod scheduler;
mod settings;
mod source;
mod source_url;
mod space;
mod speed;
mod start;
mod transfer;
mod update;
mod upkeep;
mod verify;

pub use destination::{Destination, DestinationError};
pub use digest::{BlockChecksums, DigestError, Sha256Digest};
pub use downloader::Downloader;
pub use error::{CommandError, StartError, TokenHint, TransferError};
pub use job::{Existing, FileJob, Job, JobId, Priority};
pub use settings::{Backoff, Credentials, PrivateSources, Secret, Settings};
pub use source_url::{SourceUrl, SourceUrlError};
pub use update::{
    Arrival, Facts, FileOutcome, FileProgress, FileState, JobEvent, JobState, PauseReason, Progress, RestartReason,
    Update,
};
