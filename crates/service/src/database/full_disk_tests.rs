//! A full disk, as SQLite meets it: it ends the transaction by itself, which the connection's owner does not know of.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::{Store, timestamp};
use crate::models::store::FileRecord;
use crate::{Error, model_dir::Stamp};

/// A file whose checksums fill many pages.
fn record(round: i64) -> FileRecord {
    FileRecord {
        path: format!("loras/{round}.safetensors"),
        size_bytes: 1,
        stamp: Stamp { size: 1, mtime_ns: 0, inode: 0 },
        sha256: String::new(),
        source: None,
        verified: false,
        blocks: Some((1, vec![7; 100_000])),
        recorded_at: timestamp(0),
    }
}

/// Lets the database grow to so many pages, on every connection there may be.
async fn allow_pages(store: &Store, pages: u32) {
    let mut every = Vec::new();
    for _ in 0..store.pool.options().get_max_connections() {
        every.push(store.pool.acquire().await.unwrap());
    }
    for connection in &mut every {
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit).execute(&mut **connection).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_full_disk_refused_is_written_as_soon_as_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("dashboard.db")).await.unwrap();
    // The smallest limit that is taken is the database's present size.
    allow_pages(&store, 1).await;
    let mut refused = Vec::new();
    for round in 0..8 {
        refused.extend(store.save_file_record(&record(round)).await.err());
    }
    assert_eq!(refused.len(), 8, "a connection was opened again, for which a full disk may have no room");
    assert!(refused.iter().all(|error| matches!(error, Error::DatabaseFull)), "{refused:?}");
    allow_pages(&store, 1_000_000).await;
    for round in 0..8 {
        store.save_file_record(&record(round)).await.unwrap();
    }
    assert_eq!(store.file_records().await.unwrap().len(), 8);
}
