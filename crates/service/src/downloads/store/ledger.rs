//! Downloads and installs in memory, as far as questions need them: the unfinished downloads, the latest of each preset, and what is
//! installed. Every write of those rows goes through [`Store::changing`]: the database first, then here. It has no SQL of its own.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::rows::priority_number;
use crate::{
    Error,
    database::Store,
    downloads::DownloadState,
    downloads::store::StoredDownload,
    presets::store::{InstallRow, ReplacedFile},
};

/// How often, and after which pause, a write whose outcome is not known is waited for.
const SETTLE_TRIES: u32 = 10;
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

/// What the database has, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// Another one where anything that presets show has changed.
    pub(crate) presets_revision: u64,
    pub(crate) installs: Arc<[InstallRow]>,
    /// Presets that somebody asked for and that were not uninstalled since.
    pub(crate) requested: Arc<HashSet<String>>,
    pub(crate) replaced: Arc<[ReplacedFile]>,
    /// By id: the unfinished ones, and the latest of each preset.
    downloads: HashMap<String, Arc<StoredDownload>>,
    /// The id of the latest download of each preset.
    latest: HashMap<String, String>,
}

impl Ledger {
    /// The queue: every unfinished download, in the order in which they run.
    pub(crate) fn unfinished(&self) -> Vec<Arc<StoredDownload>> {
        let unfinished = self.downloads.values().filter(|stored| stored.row.state.is_unfinished());
        let mut queue: Vec<Arc<StoredDownload>> = unfinished.cloned().collect();
        let place = |stored: &StoredDownload| (-priority_number(stored.row.priority), stored.row.position);
        queue.sort_by(|one, other| (place(one), &one.row.id).cmp(&(place(other), &other.row.id)));
        queue
    }

    /// The latest download of a preset.
    pub(crate) fn latest_of(&self, preset: &str) -> Option<&Arc<StoredDownload>> {
        self.latest.get(preset).and_then(|id| self.downloads.get(id))
    }

    /// A download, where it is one of those that are here.
    pub(crate) fn download(&self, id: &str) -> Option<&Arc<StoredDownload>> {
        self.downloads.get(id)
    }

    /// Puts these downloads in the place of what was known of `ids`. `None` where one is gone that presets showed: then which one is
    /// shown now has to be looked up.
    fn with(&self, ids: &[&str], read: Vec<StoredDownload>) -> Option<Self> {
        let mut next = self.clone();
        for id in ids {
            next.downloads.remove(*id);
        }
        for stored in read {
            next.take_in(Arc::new(stored));
        }
        let is_whole = next.latest.values().all(|id| next.downloads.contains_key(id));
        is_whole.then_some(next)
    }

    fn take_in(&mut self, stored: Arc<StoredDownload>) {
        let mut is_latest = false;
        if let Some(preset) = stored.row.preset_id.as_deref() {
            let known = self.latest.get(preset).filter(|id| **id != stored.row.id).cloned();
            let known = known.and_then(|id| self.downloads.get(&id).cloned());
            let age = |stored: &StoredDownload| (stored.row.created_at, stored.row.id.clone());
            is_latest = known.as_ref().is_none_or(|known| age(known) < age(&stored));
            if is_latest {
                self.latest.insert(preset.to_owned(), stored.row.id.clone());
                if let Some(known) = known.filter(|known| !known.row.state.is_unfinished()) {
                    self.downloads.remove(&known.row.id);
                }
            }
        }
        if is_latest || stored.row.state.is_unfinished() {
            self.downloads.insert(stored.row.id.clone(), stored);
        }
    }

    /// What presets show of downloads.
    fn shown(&self) -> HashMap<&str, (&str, DownloadState)> {
        let state = |id: &str| self.downloads.get(id).map_or(DownloadState::Failed, |stored| stored.row.state);
        self.latest.iter().map(|(preset, id)| (preset.as_str(), (id.as_str(), state(id)))).collect()
    }
}

/// The latest ledger, and when it may be kept.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    ledger: ArcSwapOption<Ledger>,
    /// Held while the database is read for it.
    reading: Mutex<()>,
    /// Grows when what is known is thrown away.
    generation: AtomicU64,
    /// Writes whose outcome is not known yet. While there are any, nothing is kept.
    unsettled: AtomicUsize,
    revisions: AtomicU64,
}

impl Latest {
    fn throw_away(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.ledger.store(None);
    }

    /// Keeps what was read since `generation` was looked at.
    fn keep(&self, ledger: &Arc<Ledger>, generation: u64) {
        self.ledger.store(Some(Arc::clone(ledger)));
        // Checked after the store: a concurrent `throw_away` is either seen here, or clears what was stored.
        if self.unsettled.load(Ordering::SeqCst) > 0 || self.generation.load(Ordering::SeqCst) != generation {
            self.ledger.store(None);
        }
    }

    fn next_revision(&self) -> u64 {
        self.revisions.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A write of downloads or installs that is under way. Where it is dropped before it said what it changed, because it failed or
/// nobody waits for it any more, what is known is thrown away.
pub(crate) struct Changing<'a> {
    store: &'a Store,
    is_told: bool,
}

impl Changing<'_> {
    /// These downloads may be other ones now.
    pub(super) async fn downloads(self, ids: &[&str]) {
        self.tell(async |store: &Store, before: Arc<Ledger>| match before.with(ids, store.downloads_of(ids).await?) {
            Some(next) => Ok(next),
            None => store.read_ledger().await,
        })
        .await;
    }

    /// What is installed, was asked for or was replaced may be other presets now.
    pub(crate) async fn installs(self) {
        self.tell(async |store: &Store, before: Arc<Ledger>| store.with_installs(&before).await).await;
    }

    /// A download has completed, and with it installs.
    pub(super) async fn completed(self, id: &str, without_installs: bool) {
        if without_installs {
            return self.downloads(&[id]).await;
        }
        self.tell(async |store: &Store, before: Arc<Ledger>| {
            let before = store.with_installs(&before).await?;
            match before.with(&[id], store.downloads_of(&[id]).await?) {
                Some(next) => Ok(next),
                None => store.read_ledger().await,
            }
        })
        .await;
    }

    /// Nothing was written.
    pub(super) fn nothing(mut self) {
        self.is_told = true;
    }

    /// Anything may be different now.
    pub(super) async fn anything(self) {
        self.tell(async |store: &Store, _| store.read_ledger().await).await;
    }

    async fn tell(mut self, read: impl AsyncFnOnce(&Store, Arc<Ledger>) -> Result<Ledger, Error>) {
        let latest = &self.store.latest;
        let _reading = latest.reading.lock().await;
        let generation = latest.generation.load(Ordering::SeqCst);
        // Nobody has asked for it yet, or it was thrown away: the next question reads it.
        let Some(before) = latest.ledger.load_full() else {
            self.is_told = true;
            return;
        };
        match read(self.store, Arc::clone(&before)).await {
            Ok(mut next) => {
                let is_same = next.shown() == before.shown()
                    && Arc::ptr_eq(&next.installs, &before.installs)
                    && Arc::ptr_eq(&next.requested, &before.requested);
                next.presets_revision = if is_same { before.presets_revision } else { latest.next_revision() };
                latest.keep(&Arc::new(next), generation);
            }
            Err(cause) => {
                tracing::warn!(error = ?cause, "downloads could not be read again after a change");
                latest.throw_away();
            }
        }
        self.is_told = true;
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let store = self.store.clone();
        store.latest.unsettled.fetch_add(1, Ordering::SeqCst);
        store.latest.throw_away();
        // A commit that nobody waits for any more may still come.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(store.settle())),
            Err(_) => drop(store.latest.unsettled.fetch_sub(1, Ordering::SeqCst)),
        }
    }
}

impl Store {
    /// Downloads and installs as they are now, from memory where they are known.
    pub(crate) async fn ledger(&self) -> Result<Arc<Ledger>, Error> {
        if let Some(known) = self.latest.ledger.load_full() {
            return Ok(known);
        }
        let _reading = self.latest.reading.lock().await;
        if let Some(known) = self.latest.ledger.load_full() {
            return Ok(known);
        }
        let generation = self.latest.generation.load(Ordering::SeqCst);
        let mut read = self.read_ledger().await?;
        read.presets_revision = self.latest.next_revision();
        let read = Arc::new(read);
        self.latest.keep(&read, generation);
        Ok(read)
    }

    /// To be called before downloads or installs are written.
    pub(crate) fn changing(&self) -> Changing<'_> {
        Changing { store: self, is_told: false }
    }

    /// Waits until no write is under way.
    async fn settle(self) {
        for _ in 0..SETTLE_TRIES {
            match self.pool.begin_with("BEGIN IMMEDIATE").await {
                Ok(alone) => {
                    drop(alone);
                    break;
                }
                Err(sqlx::Error::PoolClosed) => break,
                Err(_) => tokio::time::sleep(SETTLE_PAUSE).await,
            }
        }
        self.latest.unsettled.fetch_sub(1, Ordering::SeqCst);
        self.latest.throw_away();
    }

    async fn read_ledger(&self) -> Result<Ledger, Error> {
        let mut ledger = self.with_installs(&Ledger::default()).await?;
        let latest = self.latest_downloads().await?;
        let ids: Vec<&str> = latest.iter().map(String::as_str).collect();
        let mut read = self.downloads_of(&ids).await?;
        read.extend(self.unfinished_downloads().await?);
        for stored in read {
            ledger.take_in(Arc::new(stored));
        }
        Ok(ledger)
    }

    async fn with_installs(&self, before: &Ledger) -> Result<Ledger, Error> {
        Ok(Ledger {
            installs: self.installs().await?.into(),
            requested: Arc::new(self.requested_presets().await?),
            replaced: self.replaced_files().await?.into(),
            ..before.clone()
        })
    }
}
