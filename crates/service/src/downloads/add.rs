//! Fetching any file from a link: where it goes, what is known of it, and what stands in its way.

use downloader::{Facts, ProbeError, SourceUrl, TransferError};
use registry::ConfinedPath;
use tokio::time::{Duration, timeout};

use super::{DownloadAdded, FoundIn};
use super::{DownloadState, Downloads, FileState, Priority, address::full_address, jobs::refuse_size};
use crate::{
    Error, MayReplace,
    downloads::store::{DownloadInsert, Existing, FileRow, StoredDownload},
    fits::Expected,
    ids,
    models::store::SourceFacts,
    tasks::blocking,
};

/// How long a server may think about the name of a file before somebody has to give one.
const NAME_QUESTION_TIMEOUT: Duration = Duration::from_secs(15);

/// The folders of ComfyUI by which the path of a link says what a file is.
const MODEL_FOLDERS: [&str; 16] = [
    "audio_encoders",
    "checkpoints",
    "clip_vision",
    "controlnet",
    "diffusion_models",
    "embeddings",
    "gligen",
    "hypernetworks",
    "latent_upscale_models",
    "loras",
    "model_patches",
    "style_models",
    "text_encoders",
    "unet",
    "upscale_models",
    "vae",
];

/// Where a fetched file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Exactly here, below the models folder.
    Path(String),
    /// Into this folder, under the given name, else the server's, else the URL's.
    Folder {
        /// The folder: `checkpoints`, `loras`, …
        kind: String,
        /// The name, if one is given.
        filename: Option<String>,
    },
}

/// A link to fetch.
#[derive(Debug, Clone)]
pub struct NewDownload {
    /// One URL, or several that are mirrors of one file.
    pub urls: Vec<String>,
    /// Where it goes.
    pub place: Place,
    /// What its SHA-256 must be, as 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// What its size must be.
    pub size_bytes: Option<u64>,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether a file that is there may be replaced.
    pub overwrite: bool,
    /// Which files that may be.
    pub may_replace: MayReplace,
}

/// What a link would fetch, as far as that is known without fetching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadPreview {
    /// The name of the file.
    pub name: Option<Found<String>>,
    /// The folder below the models folder.
    pub folder: Option<Found<String>>,
    /// Its exact size.
    pub size_bytes: Option<u64>,
    /// Its SHA-256, where the server names it.
    pub sha256: Option<String>,
    /// Whether there is a file at that place.
    pub exists: Option<bool>,
    /// What has to be done before the host gives the file: a license, a login, a token.
    pub gate: Option<String>,
    /// Why the host did not say more.
    pub problem: Option<String>,
}

/// A value, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Where it is from.
    pub from: FoundIn,
}

impl Downloads {
    /// Accepts a link. The answer comes before the file does.
    pub async fn add(&self, new: NewDownload) -> Result<DownloadAdded, Error> {
        let sources = parse_sources(&new.urls)?;
        let sha256 = new.sha256.as_deref().map(parse_sha256).transpose()?;
        refuse_size(new.size_bytes)?;
        let place = PlaceWanted::parse(&new.place)?;
        if let PlaceWanted::Known(path) = &place {
            self.refuse_outside(path).await?;
        }
        let answer = self.ask(&sources, place.question_timeout(self.question_timeout)).await?;
        let (path, facts) = place.path(answer, &sources)?;
        self.refuse_outside(&path).await?;
        let address = full_address(&new.urls[0]);
        if facts.size.is_some() {
            self.learn(&facts).await?;
        }
        let _planning = self.planning.lock().await;
        let unfinished = self.store.unfinished_downloads().await?;
        let demanded = sha256.is_some() || new.size_bytes.is_some();
        let sha256 = sha256.or_else(|| facts.sha256.map(|digest| digest.to_string()));
        if let Some(running) = already_running(&unfinished, &path, &address, sha256.as_deref())? {
            return Ok(DownloadAdded { download_id: running, path: path.as_str().to_owned() });
        }
        refuse_more_than(self.most_unfinished, unfinished.len())?;
        let existing = self.judge_existing(&path, &new, sha256.as_deref()).await?;
        let file = FileRow {
            path: path.as_str().to_owned(),
            sources: sources.iter().map(|source| source.as_str().to_owned()).collect(),
            sha256,
            size_bytes: new.size_bytes.or(facts.size),
            stated_bytes: None,
            existing,
            pinned: demanded || self.index.seen(path.as_str()).is_some(),
            staged: false,
            state: FileState::Pending,
            error: None,
        };
        self.space.check(std::slice::from_ref(&file), &unfinished).await?;
        let download = DownloadInsert {
            id: ids::new_download_id(),
            preset_id: None,
            definition: None,
            priority: new.priority,
            warnings: Vec::new(),
            files: vec![file],
            created_at: self.clock.now(),
        };
        let view = self.begin(&download).await?;
        Ok(DownloadAdded { download_id: view.id, path: path.as_str().to_owned() })
    }

    /// Says what a link would fetch and where it would go. Nothing is written.
    pub async fn preview(&self, urls: &[String], place: Option<&Place>) -> Result<DownloadPreview, Error> {
        let sources = parse_sources(urls)?;
        let wanted = place.map(PlaceWanted::parse).transpose()?;
        let answer = self.ask(&sources, NAME_QUESTION_TIMEOUT).await?;
        let (facts, gate, problem) = match answer {
            Answer::Facts(facts) => (*facts, None, None),
            Answer::Refused { message, is_gate: true } => (Facts::default(), Some(message), None),
            Answer::Refused { message, .. } | Answer::Away(message) => (Facts::default(), None, Some(message)),
        };
        let found = |value: String, from| Some(Found { value, from });
        let in_link = || sources.iter().find_map(SourceUrl::file_name);
        let (folder, name) = match wanted {
            Some(PlaceWanted::Known(path)) => {
                let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
                (found(folder.to_owned(), FoundIn::Request), found(name.to_owned(), FoundIn::Request))
            }
            other => {
                let folder = match other {
                    Some(PlaceWanted::Unnamed { kind }) => found(kind, FoundIn::Request),
                    _ => sources.iter().find_map(folder_in).and_then(|folder| found(folder, FoundIn::Link)),
                };
                let name = match facts.file_name.clone() {
                    Some(name) if Some(&name) != in_link().as_ref() => found(name, FoundIn::Server),
                    Some(name) => found(name, FoundIn::Link),
                    None => in_link().and_then(|name| found(name, FoundIn::Link)),
                };
                (folder, name)
            }
        };
        let exists = match (&folder, &name) {
            (Some(folder), Some(name)) => {
                let joined = format!("{}/{}", folder.value, name.value);
                let path = confined("path", joined.trim_start_matches('/'))?;
                self.refuse_outside(&path).await?;
                let disk = self.index.folder().clone();
                Some(blocking(move || disk.stamp(&path).is_some()).await?)
            }
            _ => None,
        };
        let sha256 = facts.sha256.map(|digest| digest.to_string());
        Ok(DownloadPreview { name, folder, size_bytes: facts.size, sha256, exists, gate, problem })
    }

    /// Remembers what a server said, of the address that it was asked for. What a mirror says is nothing that the first link
    /// said.
    pub(crate) async fn learn(&self, facts: &Facts) -> Result<(), Error> {
        let Some(address) = facts.source.as_ref().map(SourceUrl::as_str) else { return Ok(()) };
        let facts = SourceFacts { size_bytes: facts.size, sha256: facts.sha256.map(|digest| digest.to_string()) };
        self.store.save_source_facts(address, &facts, self.clock.now()).await?;
        self.index.learned(address, facts);
        Ok(())
    }

    /// What the servers say of the file.
    async fn ask(&self, sources: &[SourceUrl], limit: Duration) -> Result<Answer, Error> {
        match timeout(limit, self.engine.probe(sources)).await {
            Ok(Ok(facts)) => Ok(Answer::Facts(Box::new(facts))),
            Ok(Err(ProbeError::Refused(cause @ TransferError::RefusedAddress { .. }))) => {
                Err(Error::invalid("url", cause.to_string()))
            }
            Ok(Err(ProbeError::Refused(cause))) => {
                let is_gate = matches!(
                    cause,
                    TransferError::Gated { .. }
                        | TransferError::PrivateOrMissing { .. }
                        | TransferError::Unauthorized { .. }
                        | TransferError::Forbidden { .. }
                );
                Ok(Answer::Refused { message: cause.to_string(), is_gate })
            }
            Ok(Err(ProbeError::Passing(cause))) => Ok(Answer::Away(cause.to_string())),
            Err(_) => Ok(Answer::Away(format!("no answer within {} s", limit.as_secs_f32()))),
        }
    }

    async fn refuse_outside(&self, path: &ConfinedPath) -> Result<(), Error> {
        let (folder, wanted) = (self.index.folder().clone(), path.clone());
        if !blocking(move || folder.leads_outside(&wanted)).await? {
            return Ok(());
        }
        Err(Error::invalid("path", format!("'{}' leads out of the models folder by a symbolic link", path.as_str())))
    }

    async fn judge_existing(
        &self,
        path: &ConfinedPath,
        new: &NewDownload,
        sha256: Option<&str>,
    ) -> Result<Existing, Error> {
        let (index, looked_at) = (self.index.clone(), path.clone());
        blocking(move || index.refresh([&looked_at])).await?;
        let expected = Expected { sha256: sha256.map(str::to_owned), size_bytes: None };
        self.index.refuse_unfinished(path.as_str(), &expected)?;
        let is_there = self.index.seen(path.as_str()).is_some();
        let here = self.index.record(path.as_str()).map(|record| record.sha256);
        let is_wanted_one = here.is_some() && here.as_deref() == sha256;
        if new.overwrite {
            let may_go = new.may_replace == MayReplace::Any
                || is_wanted_one
                || self.index.is_own_or_damaged(path.as_str(), &Expected::default());
            return if may_go {
                Ok(Existing::Replace)
            } else {
                Err(Error::ReplacingNeedsAdmin { paths: vec![path.as_str().to_owned()] })
            };
        }
        if !is_there {
            return Ok(Existing::Keep);
        }
        match (here.as_deref(), sha256) {
            (Some(here), Some(wanted)) if here == wanted => Ok(Existing::Keep),
            (None, Some(_)) if new.sha256.is_some() => Ok(Existing::Keep),
            _ => Err(Error::conflict(
                format!("'{}' exists already; send \"overwrite\": true to replace it", path.as_str()),
                vec![("path", path.as_str().to_owned())],
            )),
        }
    }
}

/// A place as asked for, checked as far as it can be before the server has named the file.
enum PlaceWanted {
    Known(ConfinedPath),
    Unnamed { kind: String },
}

impl PlaceWanted {
    fn parse(place: &Place) -> Result<Self, Error> {
        match place {
            Place::Path(path) => Ok(Self::Known(confined("path", path)?)),
            Place::Folder { kind, filename } => {
                confined("type", kind)?;
                match filename {
                    Some(name) => Ok(Self::Known(confined("filename", &format!("{kind}/{name}"))?)),
                    None => Ok(Self::Unnamed { kind: kind.clone() }),
                }
            }
        }
    }

    fn question_timeout(&self, short: Duration) -> Duration {
        match self {
            Self::Known(_) => short,
            Self::Unnamed { .. } => NAME_QUESTION_TIMEOUT,
        }
    }

    /// The path of the file, and what is known of it.
    ///
    /// Without a name of its own a refusal is told at once, as what it is. What may pass is queued under the name that the link
    /// has. With a name everything is queued: the download tells why it fails, and can be resumed.
    fn path(self, answer: Answer, sources: &[SourceUrl]) -> Result<(ConfinedPath, Facts), Error> {
        let kind = match self {
            Self::Known(path) => return Ok((path, answer.facts())),
            Self::Unnamed { kind } => kind,
        };
        let (name, facts) = match answer {
            Answer::Facts(facts) => {
                let unnamed = "neither the server nor the URL names the file: send \"filename\" too";
                let name = facts.file_name.clone().ok_or_else(|| Error::invalid("filename", unnamed))?;
                (name, *facts)
            }
            Answer::Refused { message, .. } => return Err(Error::invalid("url", message)),
            Answer::Away(message) => {
                let unnamed = || {
                    let message =
                        format!("{message}; the link names no file: try again later, or send \"filename\" too");
                    Error::invalid("url", message)
                };
                (sources.iter().find_map(SourceUrl::file_name).ok_or_else(unnamed)?, Facts::default())
            }
        };
        Ok((confined("filename", &format!("{kind}/{name}"))?, facts))
    }
}

/// What came of the question for a file's name and size.
#[derive(Debug)]
enum Answer {
    /// It is there.
    Facts(Box<Facts>),
    /// It is not to be had, now or later, until somebody does something about it.
    Refused { message: String, is_gate: bool },
    /// Nobody answered; somebody may later.
    Away(String),
}

impl Answer {
    fn facts(self) -> Facts {
        match self {
            Self::Facts(facts) => *facts,
            Self::Refused { message, .. } | Self::Away(message) => {
                tracing::info!(reason = %message, "file size not known before the download");
                Facts::default()
            }
        }
    }
}

/// The folder of ComfyUI that the path of a link names, as `split_files/vae/ae.safetensors` does.
fn folder_in(source: &SourceUrl) -> Option<String> {
    let segments: Vec<&str> = source.as_url().path_segments()?.collect();
    let folders = segments.split_last().map(|(_, folders)| folders).unwrap_or_default();
    folders.iter().rev().find(|segment| MODEL_FOLDERS.contains(segment)).map(|folder| (*folder).to_owned())
}

/// Refuses a download beyond the bound. Each new one is compared with all that are unfinished.
fn refuse_more_than(limit: usize, unfinished: usize) -> Result<(), Error> {
    if unfinished < limit {
        return Ok(());
    }
    Err(Error::conflict(
        format!("{unfinished} downloads are unfinished, the most there may be; wait, or cancel some"),
        vec![("unfinished", unfinished.to_string()), ("limit", limit.to_string())],
    ))
}

fn confined(field: &str, text: &str) -> Result<ConfinedPath, Error> {
    ConfinedPath::parse(text).map_err(|refused| Error::invalid(field, refused.to_string()))
}

fn parse_sources(urls: &[String]) -> Result<Vec<SourceUrl>, Error> {
    if urls.is_empty() {
        return Err(Error::invalid("url", "one URL at least is needed, as \"url\" or in \"urls\""));
    }
    let parse = |url: &String| SourceUrl::parse(url).map_err(|refused| Error::invalid("url", refused.to_string()));
    urls.iter().map(parse).collect()
}

fn parse_sha256(text: &str) -> Result<String, Error> {
    downloader::Sha256Digest::parse(text)
        .map(|digest| digest.to_string())
        .map_err(|refused| Error::invalid("sha256", refused.to_string()))
}

/// The unfinished download that already brings this file, or the conflict with one that brings another to its place.
fn already_running(
    unfinished: &[StoredDownload],
    path: &ConfinedPath,
    address: &str,
    sha256: Option<&str>,
) -> Result<Option<String>, Error> {
    let at_place = |stored: &&StoredDownload| {
        stored.files.iter().any(|file| file.path == path.as_str() && file.state != FileState::Completed)
    };
    let Some(stored) = unfinished.iter().find(at_place) else { return Ok(None) };
    let same = stored.files.iter().filter(|file| file.path == path.as_str()).any(|file| {
        file.sources.iter().any(|source| full_address(source) == address)
            || (sha256.is_some() && file.sha256.as_deref() == sha256)
    });
    if same && stored.row.preset_id.is_none() && stored.row.state != DownloadState::Paused {
        return Ok(Some(stored.row.id.clone()));
    }
    Err(Error::conflict(
        format!("'{}' is being fetched by download '{}'", path.as_str(), stored.row.id),
        vec![("path", path.as_str().to_owned()), ("download_id", stored.row.id.clone())],
    ))
}
