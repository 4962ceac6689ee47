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
//! # Invariants, and where a reader finds it
//!
//! | promise | file |
//! |---|---|
//! | A file under its final name is whole, synced and hashed, and equals the hash where one is known | `transfer::commit`, `storage::part` |
//! | Before that its bytes live in `NAME.part`, and `NAME.part.journal` says which are trusted; nothing else is written | `storage::part`, `storage::journal` |
//! | A block is trusted only if the bytes on disk have the CRC-32 that the journal holds; a kill costs about a block for each connection | `transfer::part_store`, `transfer::resume` |
//! | A resumed file is checked block by block while the rest arrives; damaged blocks alone are fetched again | `transfer::maintenance`, `storage::verify` |
//! | The SHA-256 runs behind the contiguous prefix, and its state is kept in the journal | `storage::prefix_hash` |
//! | What comes faster than memory is copied goes to the disk as it is, and is hashed before it leaves memory | `transfer::segment_writer`, `storage::direct_buffers` |
//! | A sync that failed voids what it covered | `transfer::part_store`, `transfer::maintenance` |
//! | Start, end and total of every answer are compared with what was asked | `http::response` |
//! | Two versions of a file are never mixed | `content_identity`, `transfer::first_response` |
//! | Connections grow and shrink with what helps; the tail is shared out, and no stalled connection holds it up | `transfer::concurrency`, `transfer::segment_scheduler`, `transfer::segments`, `transfer::stragglers` |
//! | Ranges come from all sources that are proven to hold the same; one that is far slower than another is left | `transfer::sources`, `transfer::segment_scheduler` |
//! | The retry budget is counted by progress, not by tries | `transfer::retry`, `transfer::recovery` |
//! | Every address is judged before it is connected to, at each hop; a token goes to its own host only | `http::address_policy`, `http::client`, `http::source` |
//! | A full disk pauses the job, which goes on by itself when there is room | `storage::disk_budget`, `engine::scheduler` |
//! | A path never leaves its root, whatever is swapped meanwhile | `storage::beneath`, `destination` |
//! | Content that is on this machine already is linked, not fetched | `transfer::local_copy` |
//! | All of this holds through kills, power cuts, full disks and bad networks, in any combination | `simulation` |
//!
//! # Which content is the same
//!
//! Where the SHA-256 is known (from the caller, or from Hugging Face, whichever source gives the bytes) it decides, and only
//! the size is compared on the way: content delivery networks give one file many tags. A wrong hash costs one full retry,
//! from a source that gave none of the wrong bytes where there is one; where several gave them, each is asked alone. Then
//! it is final. Where no hash is known, size and ETag (or else the date) have to stay the same, and strong ones are
//! sent as `If-Range`. When they change, the file begins again. A host whose validators then differ from one answer to the
//! next, or that changes the file once more, is compared by size alone from then on, over one connection: it would else
//! never end.
//!
//! # After a crash
//!
//! Give the same job again: a journalled `.part` goes on, a finished one is verified and renamed without network. A file
//! that was renamed before its [`JobEvent::FileCompleted`] was heard stands at its destination without a journal; it is
//! recognised by its SHA-256 or exact size ([`Existing::Keep`]), or by being there ([`Existing::Share`]).

/// Its program compiles as it stands.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod content_identity;
mod destination;
mod digest;
mod engine;
mod error;
mod events;
mod file_name;
#[doc(hidden)]
pub mod fuzzing;
mod geometry;
mod halt;
mod hosts;
mod http;
mod job;
mod settings;
#[cfg(test)]
mod simulation;
mod source_url;
mod storage;
mod threads;
mod transfer;

pub use self::http::client::GuardedHttp;
pub use self::http::probe::ProbeError;
pub use destination::{Destination, DestinationError};
pub use digest::{BlockChecksums, DigestError, Sha256Digest};
pub use engine::handle::Downloader;
pub use error::{CommandError, StartError, TokenHint, TransferError};
pub use events::{
    Arrival, Facts, FileOutcome, FileProgress, FileState, JobEvent, JobState, PauseReason, Progress, RestartReason,
    Update,
};
pub use geometry::LARGEST_FILE;
pub use job::{Existing, FileJob, Job, JobId, Priority};
pub use settings::{Backoff, Credentials, PrivateSources, Secret, Settings};
pub use source_url::{SourceUrl, SourceUrlError};
