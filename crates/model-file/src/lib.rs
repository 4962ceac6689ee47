//! What a weight file is, from its own bytes: safetensors, GGUF, pickle and zip structure.
//!
//! Nothing here executes, unpickles or loads anything; it reads heads and tails through [`ReadAt`], in bounded memory, and blocks
//! while it reads. It must not know folders, databases, the registry or who asks.
//!
//! | module | owns |
//! |---|---|
//! | `inspect` | the one entry: [`inspect`] and its cheap sister [`glance`] |
//! | `kind` | telling formats apart by their first bytes, and what a file name promises |
//! | `safetensors`, `gguf`, `archive` | whether a structure accounts for every byte of the file |
//! | `numpy`, `tar` | what else may carry a pickle |
//! | `pickle` | which imports a pickle asks for, judged by an allow-list |
//! | `meter` | what one inspection may read and unpack in all, and when it stops |
//! | `estimate` | how much video memory a set of weights is likely to need |

/// Grows whenever the same bytes may be judged differently: what an earlier version said of a file is not remembered any more.
pub const READER_VERSION: u32 = 2;

mod archive;
mod cursor;
mod damage;
mod error;
mod estimate;
mod gguf;
mod header;
mod inspect;
mod kind;
mod meter;
mod numpy;
mod pickle;
mod read_at;
mod safetensors;
mod seen_names;
mod tar;

pub use archive::{Contents, check_zip_contents};
pub use damage::{Damage, GgufDamage, SafetensorsDamage, ZipDamage};
pub use error::Error;
pub use estimate::{BytesKnownFrom, Estimate, Precision, Role, WeightPart, Weights, estimate_vram};
pub use header::Header;
pub use inspect::{Glance, Report, Structure, glance, inspect, inspect_until};
pub use kind::{Kind, WrongFormat};
pub use pickle::Verdict;
pub use read_at::ReadAt;
