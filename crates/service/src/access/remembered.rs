//! Keys, sessions and whether there is a password, as the database has them, in memory: who asks is judged for every request, and a
//! statement for each would cost more than most answers.
//!
//! What this process changes counts at once. What another process changes, as the command line does beside a running server,
//! counts after [`FRESH_FOR`] at the latest; it waits that long before it says that the change is made. A key or session that is
//! not remembered is looked for in the database, so that a new one counts at once wherever it was made.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use crate::{
    Error,
    access::store::{SecretHash, StoredKey, StoredSession},
    database::Store,
};

/// How long what another process changes may go unseen.
pub(super) const FRESH_FOR: Duration = Duration::from_millis(250);

/// Everything that decides who somebody is, at one moment.
pub(super) struct Credentials {
    read_at: Instant,
    keys: HashMap<SecretHash, Arc<StoredKey>>,
    sessions: HashMap<SecretHash, Arc<StoredSession>>,
    pub(super) has_password: bool,
}

impl Credentials {
    pub(super) fn key(&self, hash: &SecretHash) -> Option<Arc<StoredKey>> {
        self.keys.get(hash).cloned()
    }

    pub(super) fn key_by_id(&self, id: &str) -> Option<Arc<StoredKey>> {
        self.keys.values().find(|key| key.view.id == id).cloned()
    }

    pub(super) fn session(&self, hash: &SecretHash) -> Option<Arc<StoredSession>> {
        self.sessions.get(hash).cloned()
    }

    pub(super) fn session_by_id(&self, id: &str) -> Option<Arc<StoredSession>> {
        self.sessions.values().find(|session| session.view.id == id).cloned()
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// The latest credentials, and when they have to be read anew.
#[derive(Default)]
pub(super) struct Remembered {
    latest: RwLock<Option<Arc<Credentials>>>,
    /// Grows with each change that this process makes.
    changes: AtomicU64,
    reading: Mutex<()>,
}

impl Remembered {
    /// What is known now, read from the database where it is not fresh.
    pub(super) async fn credentials(&self, store: &Store) -> Result<Arc<Credentials>, Error> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let _reading = self.reading.lock().await;
        loop {
            // Another request may have read them meanwhile.
            if let Some(fresh) = self.fresh() {
                return Ok(fresh);
            }
            let changes = self.changes.load(Ordering::SeqCst);
            let read = Arc::new(read(store).await?);
            let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
            // A change that was made meanwhile may be missing.
            if self.changes.load(Ordering::SeqCst) == changes {
                *latest = Some(Arc::clone(&read));
                return Ok(read);
            }
        }
    }

    /// This process has changed something, whether that succeeded or not.
    pub(super) fn forget(&self) {
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        *latest = None;
    }

    fn fresh(&self) -> Option<Arc<Credentials>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|known| known.read_at.elapsed() < FRESH_FOR).map(Arc::clone)
    }
}

async fn read(store: &Store) -> Result<Credentials, Error> {
    let read_at = Instant::now();
    let by_hash = |hash: &[u8]| SecretHash::try_from(hash).ok();
    let (keys, sessions) = (store.stored_keys().await?, store.stored_sessions().await?);
    Ok(Credentials {
        read_at,
        keys: keys.into_iter().filter_map(|key| Some((by_hash(&key.hash)?, Arc::new(key)))).collect(),
        sessions: sessions.into_iter().filter_map(|row| Some((by_hash(&row.hash)?, Arc::new(row)))).collect(),
        has_password: store.password_hash().await?.is_some(),
    })
}
