//! Keys, sessions and the password in memory: who asks is judged for every request, and without a statement.
//!
//! What is changed is written to the database first, then here, in one step for everybody who looks at [`Changes`]: a request that
//! comes after a change is judged by it, whichever process made it. While a change is being made, requests are judged by the
//! database itself. When a key or session was last used is written behind.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{
    KeyView, SessionView,
    changes::{Changes, Sequence},
    keys::USE_IS_NOTED_EVERY,
    note,
};
use crate::{
    Error,
    access::store::{PasswordOrigin, SecretHash},
    database::Store,
    tasks::blocking,
};

/// How often a change of another process may overtake a look at the database before what it saw is used and forgotten.
const LOOKS: usize = 3;

/// Something that opens the door, as the database has it, and what happened to it since.
pub(super) struct Known<V> {
    as_stored: V,
    state: Arc<State>,
}

/// What requests change: shared by every look at the same key or session.
struct State {
    /// In milliseconds; [`NEVER`] where it was not.
    last_used: AtomicI64,
    /// It has expired, and stays so when the clock is set back.
    has_ended: AtomicBool,
}

const NEVER: i64 = i64::MIN;

impl<V> Known<V> {
    pub(super) fn has_ended(&self) -> bool {
        self.state.has_ended.load(Ordering::Relaxed)
    }

    /// Ends it for good. Says whether this was the first to do so.
    pub(super) fn end(&self) -> bool {
        !self.state.has_ended.swap(true, Ordering::Relaxed)
    }

    fn last_used(&self) -> Option<Timestamp> {
        let last = self.state.last_used.load(Ordering::Relaxed);
        (last != NEVER).then(|| Timestamp::from_millisecond(last).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Notes a use where the last one was noted long enough ago. Says whether it did.
    fn note_use(&self, now: Timestamp) -> bool {
        let last = self.state.last_used.load(Ordering::Relaxed);
        let is_due = self.last_used().is_none_or(|used| now.duration_since(used) >= USE_IS_NOTED_EVERY);
        let next = now.as_millisecond();
        is_due && self.state.last_used.compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Known<KeyView> {
    pub(super) fn view(&self) -> KeyView {
        KeyView { last_used_at: self.last_used(), ..self.as_stored.clone() }
    }

    /// What does not change of it.
    pub(super) fn key(&self) -> &KeyView {
        &self.as_stored
    }
}

impl Known<SessionView> {
    pub(super) fn view(&self) -> SessionView {
        let last_used_at = self.last_used().unwrap_or(self.as_stored.last_used_at);
        SessionView { last_used_at, ..self.as_stored.clone() }
    }
}

/// Everything that decides who somebody is, at one moment.
#[derive(Default)]
pub(super) struct Credentials {
    keys: HashMap<SecretHash, Arc<Known<KeyView>>>,
    sessions: HashMap<SecretHash, Arc<Known<SessionView>>>,
    setting_password: Option<String>,
    stored_password: Option<String>,
}

impl Credentials {
    pub(super) fn key(&self, hash: &SecretHash) -> Option<&Arc<Known<KeyView>>> {
        self.keys.get(hash)
    }

    pub(super) fn key_by_id(&self, id: &str) -> Option<&Arc<Known<KeyView>>> {
        self.keys.values().find(|key| key.as_stored.id == id)
    }

    /// Every key, the oldest first.
    pub(super) fn keys(&self) -> Vec<KeyView> {
        let mut keys: Vec<KeyView> = self.keys.values().map(|key| key.view()).collect();
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        keys
    }

    pub(super) fn session(&self, hash: &SecretHash) -> Option<&Arc<Known<SessionView>>> {
        self.sessions.get(hash)
    }

    pub(super) fn session_by_id(&self, id: &str) -> Option<&Arc<Known<SessionView>>> {
        self.sessions.values().find(|session| session.as_stored.id == id)
    }

    /// Every session that was not found to have ended, the oldest first.
    pub(super) fn sessions(&self) -> Vec<SessionView> {
        let lasting = self.sessions.values().filter(|session| !session.has_ended());
        let mut sessions: Vec<SessionView> = lasting.map(|session| session.view()).collect();
        sessions.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        sessions
    }

    /// The hash of the password in force.
    pub(super) fn password_hash(&self) -> Option<&str> {
        self.setting_password.as_deref().or(self.stored_password.as_deref())
    }

    /// The hash of the password of the operator's setting.
    pub(super) fn setting_password_hash(&self) -> Option<&str> {
        self.setting_password.as_deref()
    }

    /// Whether a password is set or a key exists.
    pub(super) fn has_any(&self) -> bool {
        self.password_hash().is_some() || !self.keys.is_empty()
    }
}

/// What was read, and the length of the file of changes at which it holds.
struct Latest {
    length: u64,
    credentials: Arc<Credentials>,
}

/// A use that the database does not know of yet.
#[derive(Debug, Clone, Copy)]
enum Use {
    Key(Timestamp),
    Session(Timestamp),
}

/// The latest credentials.
pub(super) struct Memory {
    store: Store,
    changes: Arc<Changes>,
    latest: ArcSwapOption<Latest>,
    reading: Mutex<()>,
    /// By the id of the key or session, so that there are never more than of those.
    unwritten: std::sync::Mutex<BTreeMap<String, Use>>,
    has_unwritten: Notify,
}

impl Memory {
    /// Reads what the database has.
    pub(super) async fn open(store: Store, database: &Path) -> Result<Self, Error> {
        let beside = database.to_owned();
        let changes = blocking(move || Changes::open(&beside)).await?;
        let unusable = |cause: std::io::Error| Error::DatabaseUnusable {
            path: database.to_owned(),
            reason: format!("the file access.changes beside it cannot be opened: {cause}"),
        };
        let memory = Self {
            store,
            changes: Arc::new(changes.map_err(unusable)?),
            latest: ArcSwapOption::empty(),
            reading: Mutex::default(),
            unwritten: std::sync::Mutex::default(),
            has_unwritten: Notify::new(),
        };
        memory.credentials().await?;
        Ok(memory)
    }

    /// What is true now.
    pub(super) async fn credentials(&self) -> Result<Arc<Credentials>, Error> {
        match self.fresh() {
            Some(fresh) => Ok(fresh),
            None => self.read_again().await,
        }
    }

    /// Changes something in the database, and then here. Nothing else changes keys, sessions or the password meanwhile, in any
    /// process.
    pub(super) async fn change<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let lock = self.changes.begin().await?;
        let done = work.await;
        let read = self.read().await;
        let finished = blocking(move || lock.finish()).await?;
        match (read, finished) {
            (Ok(credentials), Ok(length)) => self.keep(length, Arc::new(credentials)),
            // The length is another one now, so that the next request reads for itself.
            (Err(cause), Ok(_)) => tracing::warn!(error = ?cause, "credentials could not be read after a change"),
            (_, Err(cause)) => {
                tracing::warn!(error = %cause, "a change of access is made, but the end of it could not be noted");
            }
        }
        done
    }

    /// Notes that a key was used.
    pub(super) fn use_key(&self, key: &Known<KeyView>, now: Timestamp) {
        if key.note_use(now) {
            self.write_behind(&key.as_stored.id, Use::Key(now));
        }
    }

    /// Notes that a session was used.
    pub(super) fn use_session(&self, session: &Known<SessionView>, now: Timestamp) {
        if session.note_use(now) {
            self.write_behind(&session.as_stored.id, Use::Session(now));
        }
    }

    fn write_behind(&self, id: &str, used: Use) {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), used);
        self.has_unwritten.notify_one();
    }

    /// Writes uses to the database as they come, and those that are left at the stop.
    pub(super) async fn write_uses_until(&self, stop: &CancellationToken) {
        while stop.run_until_cancelled(self.has_unwritten.notified()).await.is_some() {
            self.write_uses().await;
        }
        self.write_uses().await;
    }

    /// Writes the uses that the database does not know of yet. One that it does not take is not written again: the next use is.
    pub(super) async fn write_uses(&self) {
        let unwritten = std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, used) in unwritten {
            let noted = match used {
                Use::Key(at) => self.store.touch_key(&id, at).await,
                Use::Session(at) => self.store.touch_session(&id, at).await,
            };
            note(&id, noted);
        }
    }

    /// Empties the file of changes where it has become long. For the start of a server.
    pub(super) async fn shorten_changes(&self) -> Result<(), Error> {
        let changes = Arc::clone(&self.changes);
        blocking(move || changes.shorten()).await
    }

    fn fresh(&self) -> Option<Arc<Credentials>> {
        // Before the look at what is remembered: a change that ends between the two makes it look stale, never fresh.
        let Some(Sequence::Settled(length)) = self.changes.sequence() else { return None };
        let latest = self.latest.load();
        latest.as_ref().filter(|latest| latest.length == length).map(|latest| Arc::clone(&latest.credentials))
    }

    fn keep(&self, length: u64, credentials: Arc<Credentials>) {
        self.latest.store(Some(Arc::new(Latest { length, credentials })));
    }

    async fn read_again(&self) -> Result<Arc<Credentials>, Error> {
        let _reading = self.reading.lock().await;
        for _ in 0..LOOKS {
            // Another request may have read them meanwhile.
            if let Some(fresh) = self.fresh() {
                return Ok(fresh);
            }
            match self.changes.sequence() {
                Some(Sequence::Settled(length)) => {
                    let read = Arc::new(self.read().await?);
                    if self.changes.sequence() == Some(Sequence::Settled(length)) {
                        self.keep(length, Arc::clone(&read));
                        return Ok(read);
                    }
                }
                Some(Sequence::Changing) => return self.read_during_change().await,
                None => {
                    let changes = Arc::clone(&self.changes);
                    if let Err(cause) = blocking(move || changes.reopen()).await? {
                        tracing::warn!(error = %cause, "the file of changes of access cannot be opened");
                        break;
                    }
                    self.latest.store(None);
                }
            }
        }
        Ok(Arc::new(self.read().await?))
    }

    /// Reads while somebody changes something. Where the change was left unfinished by one who died, it is finished here.
    async fn read_during_change(&self) -> Result<Arc<Credentials>, Error> {
        let changes = Arc::clone(&self.changes);
        let lock = blocking(move || changes.try_lock()).await?;
        let read = Arc::new(self.read().await?);
        let Ok(Some(lock)) = lock else { return Ok(read) };
        match blocking(move || lock.finish()).await? {
            Ok(length) => self.keep(length, Arc::clone(&read)),
            Err(cause) => tracing::warn!(error = %cause, "an unfinished change of access could not be ended"),
        }
        Ok(read)
    }

    /// What the database has, with what has happened since to what was known before.
    async fn read(&self) -> Result<Credentials, Error> {
        let (keys, sessions) = (self.store.stored_keys().await?, self.store.stored_sessions().await?);
        let mut read = Credentials {
            setting_password: self.store.password_hash_of(PasswordOrigin::Setting).await?,
            stored_password: self.store.password_hash_of(PasswordOrigin::Stored).await?,
            ..Credentials::default()
        };
        let before = self.latest.load_full().map(|latest| Arc::clone(&latest.credentials)).unwrap_or_default();
        for row in keys {
            let known = before.keys.get(&row.hash).map(|known| &known.state);
            let state = state_of(known, row.view.last_used_at, row.was_refused);
            read.keys.insert(row.hash, Arc::new(Known { as_stored: row.view, state }));
        }
        for row in sessions {
            let known = before.sessions.get(&row.hash).map(|known| &known.state);
            let state = state_of(known, Some(row.view.last_used_at), false);
            read.sessions.insert(row.hash, Arc::new(Known { as_stored: row.view, state }));
        }
        Ok(read)
    }
}

/// The state of what was known before, brought up to what the database says, else a new one.
fn state_of(known: Option<&Arc<State>>, last_used: Option<Timestamp>, has_ended: bool) -> Arc<State> {
    let last_used = last_used.map_or(NEVER, Timestamp::as_millisecond);
    match known {
        Some(known) => {
            known.last_used.fetch_max(last_used, Ordering::Relaxed);
            known.has_ended.fetch_or(has_ended, Ordering::Relaxed);
            Arc::clone(known)
        }
        None => Arc::new(State { last_used: AtomicI64::new(last_used), has_ended: AtomicBool::new(has_ended) }),
    }
}
