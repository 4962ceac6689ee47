//! The database: opening it, its lock, and what every `store` needs. The SQL of a resource is in that resource's `store`,
//! and nowhere else.

pub(crate) mod lease;
mod place;

use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    Connection as _, Database, Sqlite, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous},
};
use sqlx_core::transaction::TransactionManager;
use tokio::time::Instant;

pub(crate) use place::is_network;

use crate::{Error, own_file};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The first SQLite whose WAL cannot be corrupted by two connections that write and checkpoint together.
const OLDEST_SAFE_SQLITE: [u32; 3] = [3, 51, 3];

/// How long a statement waits for another one's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What SQLite appends to the database's name for its own files.
const SQLITE_ENDINGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How long to wait before a locked database is opened again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The open database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) pool: SqlitePool,
    /// Downloads and installs in memory.
    pub(crate) latest: Arc<crate::downloads::store::ledger::Latest>,
}

impl Store {
    /// Opens the database, makes it where it is missing, and brings it to this version's shape.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |reason: String| Error::DatabaseUnusable { path: path.to_owned(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|cause| unusable(format!("its folder cannot be made: {cause}")))?;
        }
        make_private(path).map_err(|cause| unusable(format!("it cannot be opened: {cause}")))?;
        let pool = connect_in_time(path).await.map_err(|cause| unusable(cause.to_string()))?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&pool).await?;
        if !is_safe_version(&version) {
            return Err(unusable(format!("SQLite {version} can corrupt it; 3.51.3 or newer is needed")));
        }
        match MIGRATIONS.run(&pool).await {
            Ok(()) => Ok(Self { pool, latest: Arc::default() }),
            Err(MigrateError::VersionMissing(number)) => Err(unusable(format!(
                "a newer comfyui-dashboard made it (migration {number}); start that one, or choose another DATABASE_URL"
            ))),
            Err(cause) => Err(unusable(cause.to_string())),
        }
    }

    /// Writes out what is pending and closes every connection.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Nobody but the owner may read the database: it holds addresses, which may hold secrets, and hashes of keys. SQLite
/// gives its other files the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    for ending in SQLITE_ENDINGS {
        let mut beside = path.as_os_str().to_owned();
        beside.push(ending);
        if own_file::is_link(Path::new(&beside)) {
            return Err(std::io::Error::other(format!("{} is a symbolic link", Path::new(&beside).display())));
        }
    }
    let mut options = OpenOptions::new();
    let file = own_file::open(path, options.write(true).create(true).truncate(false).mode(0o600))?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Waits while another process opens or closes the database: it counts as locked then, and SQLite does not always wait.
async fn connect_in_time(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let given_up_at = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connect(path).await {
            Err(cause) if is_busy(&cause) && Instant::now() < given_up_at => tokio::time::sleep(BUSY_PAUSE).await,
            connected => return connected,
        }
    }
}

/// Whether another process holds the database: a lock that did not come in time, or every connection waiting for one.
pub(crate) fn is_busy(cause: &sqlx::Error) -> bool {
    if matches!(cause, sqlx::Error::PoolTimedOut) {
        return true;
    }
    let code = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // The low byte is the kind, `SQLITE_BUSY`; the rest says more of it.
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

async fn connect(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // What is forgotten is overwritten: keys of paid services stand beside prompts until they end.
        .pragma("secure_delete", "ON")
        .foreign_keys(true);
    // A connection is never too old: opening one again may need room that is no longer there.
    let pool = SqlitePoolOptions::new().min_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.after_release(|connection, _| Box::pin(agree_on_transactions(connection)));
    if is_network(path.parent().unwrap_or(Path::new("."))) {
        let options = options.journal_mode(SqliteJournalMode::Delete).locking_mode(SqliteLockingMode::Exclusive);
        return pool.max_connections(1).connect_with(options).await;
    }
    pool.max_connections(4).connect_with(options.journal_mode(SqliteJournalMode::Wal)).await
}

/// SQLite ends a transaction by itself when the disk is full or fails. sqlx does not learn of that: the connection would count
/// as within a transaction, and refuse every further one, for as long as it lives.
async fn agree_on_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // What was to be rolled back is, once this is answered.
    connection.ping().await?;
    if connection.is_in_transaction() {
        // The rollback that sqlx still owes finds one to end.
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        <Sqlite as Database>::TransactionManager::rollback(connection).await?;
    }
    Ok(true)
}

fn is_safe_version(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').filter_map(|part| u32::from_str(part).ok()).collect();
    parts.as_slice() >= OLDEST_SAFE_SQLITE.as_slice()
}

pub(crate) fn milliseconds(time: Timestamp) -> i64 {
    time.as_millisecond()
}

pub(crate) fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// SQLite's integers are signed; a size beyond 2^63 exists on no disk.
pub(crate) fn integer(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn json_list(words: &[String]) -> String {
    serde_json::Value::from(words.to_vec()).to_string()
}

pub(crate) fn list_from_json(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod full_disk_tests;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[tokio::test]
    async fn a_database_is_readable_by_its_owner_alone_also_one_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/dashboard.db");
        Store::open(&path).await.unwrap().close().await;
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        Store::open(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// A database that another process has locked is told from a fault of ours: the client may try again.
    #[tokio::test]
    async fn locked_database_is_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dashboard.db");
        Store::open(&path).await.unwrap().close().await;
        let options = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::ZERO);
        let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut holder).await.unwrap();
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        let refused = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap_err();
        assert!(matches!(Error::from(refused), Error::DatabaseLocked(_)));
        assert!(matches!(Error::from(sqlx::Error::PoolTimedOut), Error::DatabaseLocked(_)));
    }

    #[test]
    fn only_versions_with_the_wal_repair_are_safe() {
        assert!(is_safe_version("3.51.3"));
        assert!(is_safe_version("3.52.0"));
        assert!(is_safe_version("4.0.0"));
        assert!(!is_safe_version("3.51.2"));
        assert!(!is_safe_version("3.9.9"));
        assert!(!is_safe_version(""));
    }
}
