//! What happened to the files of downloads: many turns in one transaction, since a download may have thousands of files.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use crate::{
    Error,
    database::{Store, integer, milliseconds},
    downloads::DownloadState,
    downloads::store::{Line, Step},
    models::store::{FileRecord, SourceFacts},
};

/// A turn of a file, or of a download by its files.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The server said this of a file that is about to arrive, and of the address it was asked at.
    Answered { file: usize, address: Option<String>, facts: SourceFacts },
    /// The last bytes of the last file are being proved.
    Verifying,
    /// A file is in its place, and this is known of it.
    Completed { file: usize, record: FileRecord, message: String },
    /// A file cannot be had.
    Failed { file: usize, error: String, message: String },
    /// Something that only the story tells.
    Told { kind: &'static str, message: String },
}

impl Store {
    /// Keeps these turns, each of a download, in their order: all of them or none.
    pub(crate) async fn take_turns(&self, turns: &[(&str, Turn)], now: Timestamp) -> Result<(), Error> {
        if turns.is_empty() {
            return Ok(());
        }
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (download, turn) in turns {
            turn.save(download, &mut transaction, milliseconds(now)).await?;
        }
        transaction.commit().await?;
        let ids: BTreeSet<&str> = turns.iter().map(|(download, _)| *download).collect();
        changing.downloads(&Vec::from_iter(ids)).await;
        Ok(())
    }
}

impl Turn {
    async fn save(&self, id: &str, transaction: &mut Transaction<'_, Sqlite>, now: i64) -> Result<(), Error> {
        match self {
            Self::Answered { file, address, facts } => {
                answered(id, *file, facts, transaction).await?;
                match address {
                    Some(address) => facts.save(address, transaction, now).await,
                    None => Ok(()),
                }
            }
            Self::Verifying => Step::to(DownloadState::Verifying).save(id, transaction, now).await,
            Self::Completed { file, record, message } => {
                completed(id, *file, record, transaction).await?;
                Line { kind: "file_completed", message }.save(id, transaction, now).await
            }
            Self::Failed { file, error, message } => {
                failed(id, *file, error, transaction).await?;
                Line { kind: "file_failed", message }.save(id, transaction, now).await
            }
            Self::Told { kind, message } => Line { kind, message }.save(id, transaction, now).await,
        }
    }
}

async fn answered(
    id: &str,
    file: usize,
    facts: &SourceFacts,
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<(), Error> {
    let (ordinal, size) = (integer(file as u64), facts.size_bytes.map(integer));
    sqlx::query!(
        "UPDATE download_files SET size_bytes = coalesce(?1, size_bytes),
                sha256 = CASE WHEN pinned THEN coalesce(sha256, ?2) ELSE coalesce(?2, sha256) END
         WHERE download_id = ?3 AND ordinal = ?4",
        size,
        facts.sha256,
        id,
        ordinal
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn completed(
    id: &str,
    file: usize,
    record: &FileRecord,
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<(), Error> {
    let (ordinal, size) = (integer(file as u64), integer(record.size_bytes));
    sqlx::query!(
        "UPDATE download_files SET state = 'completed', error = NULL, size_bytes = ? WHERE download_id = ? AND ordinal = ?",
        size,
        id,
        ordinal
    )
    .execute(&mut **transaction)
    .await?;
    record.save(transaction).await
}

async fn failed(id: &str, file: usize, error: &str, transaction: &mut Transaction<'_, Sqlite>) -> Result<(), Error> {
    let ordinal = integer(file as u64);
    sqlx::query!(
        "UPDATE download_files SET state = 'failed', error = ? WHERE download_id = ? AND ordinal = ?",
        error,
        id,
        ordinal
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
