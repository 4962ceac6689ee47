//! Fetching any file from a link: where it goes, what is known of it, and what stands in its way.

use downloader::{Facts, SourceUrl, TransferError};
use registry::ConfinedPath;
use tokio::time::{Duration, timeout};

use super::{DownloadState, Downloads, FileState, Priority, address::full_address, jobs::refuse_size};
use crate::{
    Error, MayReplace,
    fits::Expected,
    ids,
    store::{DownloadInsert, Existing, FileRow, SourceFacts, StoredDownload},
    tasks::blocking,
};

/// How long a server may think about the name of a file before somebody has to give one.
const NAME_QUESTION_TIMEOUT: Duration = Duration::from_secs(15);

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

/// A download that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadAdded {
    /// Its id.
    pub download_id: String,
    /// Where the file will be, below the models folder.
    pub path: String,
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
        let facts = self.ask(&sources, place.question_timeout(self.question_timeout)).await?;
        let path = place.path(&facts)?;
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
        let existing = self.judge_existing(&path, &new, sha256.as_deref()).await?;
        let file = FileRow {
            path: path.as_str().to_owned(),
            sources: sources.iter().map(|source| source.as_str().to_owned()).collect(),
            sha256,
            size_bytes: new.size_bytes.or(facts.size),
            stated_bytes: None,
            existing,
            pinned: demanded || self.index.size(path.as_str()).is_some(),
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

    /// Remembers what a server said, of the address that it was asked for. What a mirror says is nothing that the first link
    /// said.
    pub(crate) async fn learn(&self, facts: &Facts) -> Result<(), Error> {
        let Some(address) = facts.source.as_ref().map(SourceUrl::as_str) else { return Ok(()) };
        let facts = SourceFacts { size_bytes: facts.size, sha256: facts.sha256.map(|digest| digest.to_string()) };
        self.store.save_source_facts(address, &facts, self.clock.now()).await?;
        self.index.learned(address.to_owned(), facts);
        Ok(())
    }

    /// What the servers say of the file. Silence is no failure: the download itself will find out. A link that is
    /// refused or leads nowhere is told at once.
    async fn ask(&self, sources: &[SourceUrl], limit: Duration) -> Result<Facts, Error> {
        match timeout(limit, self.engine.probe(sources)).await {
            Ok(Ok(facts)) => Ok(facts),
            Ok(Err(cause)) if matches!(cause, TransferError::RefusedAddress { .. }) => {
                Err(Error::invalid("url", cause.to_string()))
            }
            Ok(Err(cause)) => {
                tracing::info!(error = %cause, "a server did not answer the question for a file's size");
                Ok(Facts::default())
            }
            Err(_) => Ok(Facts::default()),
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
        let is_there = self.index.size(path.as_str()).is_some();
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

    fn path(self, facts: &Facts) -> Result<ConfinedPath, Error> {
        match self {
            Self::Known(path) => Ok(path),
            Self::Unnamed { kind } => {
                let name = facts.file_name.as_deref().ok_or_else(|| {
                    Error::invalid("filename", "neither the server nor the URL names the file: send \"filename\" too")
                })?;
                confined("filename", &format!("{kind}/{name}"))
            }
        }
    }
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
