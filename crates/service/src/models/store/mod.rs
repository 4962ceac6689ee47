//! What is known of contents: of files on the disk by their stamp, of URLs by what servers said.

mod validations;

pub(crate) use validations::ValidationRow;

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use crate::{
    Error,
    database::{Store, integer, milliseconds, timestamp, unsigned},
    downloads::address::fact_key,
    model_dir::Stamp,
};

/// What is known of a file's content. It holds while the stamp is that of the file on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRecord {
    pub path: String,
    pub size_bytes: u64,
    pub stamp: Stamp,
    pub sha256: String,
    pub source: Option<String>,
    pub verified: bool,
    /// Size of a block and the CRC-32 of each, little-endian.
    pub blocks: Option<(u64, Vec<u8>)>,
    pub recorded_at: Timestamp,
}

/// What a server said of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceFacts {
    pub size_bytes: Option<u64>,
    pub sha256: Option<String>,
}

impl FileRecord {
    pub(crate) async fn save(&self, transaction: &mut Transaction<'_, Sqlite>) -> Result<(), Error> {
        let (size, inode) = (integer(self.size_bytes), integer(self.stamp.inode));
        let recorded = milliseconds(self.recorded_at);
        let block_bytes = self.blocks.as_ref().map(|(size, _)| integer(*size));
        let blocks = self.blocks.as_ref().map(|(_, sums)| sums.as_slice());
        sqlx::query!(
            "INSERT OR REPLACE INTO files (path, size_bytes, mtime_ns, inode, sha256, source, verified, blocks, block_bytes, recorded_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.path, size, self.stamp.mtime_ns, inode, self.sha256, self.source, self.verified, blocks, block_bytes, recorded
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}

impl SourceFacts {
    pub(crate) async fn save(
        &self,
        url: &str,
        transaction: &mut Transaction<'_, Sqlite>,
        now: i64,
    ) -> Result<(), Error> {
        let (size, url) = (self.size_bytes.map(integer), fact_key(url));
        sqlx::query!(
            "INSERT OR REPLACE INTO source_facts (url, size_bytes, sha256, recorded_at) VALUES (?, ?, ?, ?)",
            url,
            size,
            self.sha256,
            now
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}

/// A record as SQLite gives it.
struct RawRecord {
    path: String,
    size_bytes: i64,
    mtime_ns: i64,
    inode: i64,
    sha256: String,
    source: Option<String>,
    verified: i64,
    block_bytes: Option<i64>,
    blocks: Option<Vec<u8>>,
    recorded_at: i64,
}

impl From<RawRecord> for FileRecord {
    fn from(row: RawRecord) -> Self {
        let size_bytes = unsigned(row.size_bytes);
        Self {
            path: row.path,
            size_bytes,
            stamp: Stamp { size: size_bytes, mtime_ns: row.mtime_ns, inode: unsigned(row.inode) },
            sha256: row.sha256,
            source: row.source,
            verified: row.verified != 0,
            blocks: row.block_bytes.map(unsigned).zip(row.blocks),
            recorded_at: timestamp(row.recorded_at),
        }
    }
}

impl Store {
    /// Everything that is known of files, without their block checksums.
    pub(crate) async fn file_records(&self) -> Result<Vec<FileRecord>, Error> {
        let rows = sqlx::query_as!(
            RawRecord,
            "SELECT path, size_bytes, mtime_ns, inode, sha256, source, verified, recorded_at,
                    NULL AS \"block_bytes?: i64\", NULL AS \"blocks?: Vec<u8>\" FROM files"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// What is known of one file, its block checksums included, whether or not it still holds.
    pub(crate) async fn file_record(&self, path: &str) -> Result<Option<FileRecord>, Error> {
        let row = sqlx::query_as!(RawRecord, "SELECT * FROM files WHERE path = ?", path);
        Ok(row.fetch_optional(&self.pool).await?.map(Into::into))
    }

    /// Keeps what is known of a file.
    pub(crate) async fn save_file_record(&self, record: &FileRecord) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        record.save(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what is known of the files below a folder.
    pub(crate) async fn forget_files_below(&self, folder: &str) -> Result<(), Error> {
        let prefix = format!("{folder}/");
        sqlx::query!("DELETE FROM files WHERE substr(path, 1, length(?1)) = ?1", prefix).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets what is known of a file that is gone.
    pub(crate) async fn forget_file(&self, path: &str) -> Result<(), Error> {
        sqlx::query!("DELETE FROM files WHERE path = ?", path).execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps what a server said of a URL.
    pub(crate) async fn save_source_facts(&self, url: &str, facts: &SourceFacts, now: Timestamp) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        facts.save(url, &mut transaction, milliseconds(now)).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Everything that servers said.
    pub(crate) async fn source_facts(&self) -> Result<HashMap<String, SourceFacts>, Error> {
        let rows = sqlx::query!("SELECT url, size_bytes, sha256 FROM source_facts").fetch_all(&self.pool).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.url, SourceFacts { size_bytes: row.size_bytes.map(unsigned), sha256: row.sha256 }))
            .collect())
    }
}
