//! Rows of downloads that live: making them, moving them from state to state, reading them back.

mod arrivals;
mod counts;
mod history;
pub(crate) mod ledger;
mod retention;
mod rows;
mod steps;

pub(crate) use arrivals::Turn;
pub(crate) use history::HistoryFilter;
pub(crate) use ledger::Ledger;
pub(crate) use rows::{DownloadInsert, Existing, FileRow, Row as DownloadRow, StoredDownload};
use rows::{Row, file_state, priority_number, stored_file_state};
pub(crate) use steps::{Line, Step};

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use crate::{
    Error,
    database::{Store, integer, json_list, list_from_json, milliseconds, unsigned},
    downloads::{DownloadChange, DownloadState, QueuePlace},
    presets::store::{InstallRow, ReplacedFile},
};

impl Store {
    /// Keeps a new download behind the last unfinished one of its priority, and the first line of its story. They are on the
    /// disk when this returns. Answers with its position.
    pub(crate) async fn insert_download(&self, new: &StoredDownload, line: Line<'_>) -> Result<i64, Error> {
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = &new.row;
        let (priority, created_at) = (priority_number(row.priority), milliseconds(row.created_at));
        let warnings = json_list(&row.warnings);
        let position = next_position(priority, &mut transaction).await?;
        sqlx::query!(
            "INSERT INTO downloads (id, preset_id, state, priority, position, definition, warnings, created_at)
             VALUES (?, ?, 'queued', ?, ?, ?, ?, ?)",
            row.id,
            row.preset_id,
            priority,
            position,
            row.definition,
            warnings,
            created_at
        )
        .execute(&mut *transaction)
        .await?;
        for (ordinal, file) in new.files.iter().enumerate() {
            let (ordinal, sources) = (integer(ordinal as u64), json_list(&file.sources));
            let (size, stated) = (file.size_bytes.map(integer), file.stated_bytes.map(integer));
            let (existing, state) = (file.existing.as_str(), stored_file_state(file.state));
            sqlx::query!(
                "INSERT INTO download_files (download_id, ordinal, path, sources, sha256, size_bytes, stated_bytes, existing, pinned, staged, state)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row.id, ordinal, file.path, sources, file.sha256, size, stated, existing, file.pinned,
                file.staged, state
            )
            .execute(&mut *transaction)
            .await?;
        }
        line.save(&row.id, &mut transaction, created_at).await?;
        transaction.commit().await?;
        changing.downloads(&[&row.id]).await;
        Ok(position)
    }

    /// Takes back a download that the engine would not take, as if nobody had asked for it.
    pub(crate) async fn remove_download(&self, id: &str) -> Result<(), Error> {
        let changing = self.changing();
        sqlx::query!("DELETE FROM downloads WHERE id = ?", id).execute(&self.pool).await?;
        changing.downloads(&[id]).await;
        Ok(())
    }

    /// Moves a download on, and tells its story on with it.
    pub(crate) async fn step(&self, id: &str, step: Step<'_>, now: Timestamp) -> Result<(), Error> {
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        step.save(id, &mut transaction, milliseconds(now)).await?;
        transaction.commit().await?;
        changing.downloads(&[id]).await;
        Ok(())
    }

    /// Puts a download back into the queue, its failed files among those that wait. One that had ended goes behind the last.
    pub(crate) async fn queue_again(&self, id: &str, line: Line<'_>, now: Timestamp) -> Result<(), Error> {
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!(
            "UPDATE download_files SET state = 'pending', error = NULL WHERE download_id = ? AND state = 'failed'",
            id
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "UPDATE downloads SET position = (SELECT coalesce(max(position), 0) + 1 FROM downloads AS other
                    WHERE other.priority = downloads.priority AND other.state IN ('queued', 'downloading', 'verifying', 'paused'))
             WHERE id = ? AND ended_at IS NOT NULL",
            id
        )
        .execute(&mut *transaction)
        .await?;
        Step::to(DownloadState::Queued).told(line).save(id, &mut transaction, milliseconds(now)).await?;
        transaction.commit().await?;
        changing.downloads(&[id]).await;
        Ok(())
    }

    /// Ends a download as completed, and with it, in one transaction, the installs that it was for.
    pub(crate) async fn complete_download(
        &self,
        id: &str,
        installs: &[InstallRow],
        replaced: &[ReplacedFile],
        line: Line<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (now, changing) = (milliseconds(now), self.changing());
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!(
            "UPDATE downloads SET state = 'completed', pause_reason = NULL, error_code = NULL, error_message = NULL,
                    error_file = NULL, error_cause = NULL, started_at = coalesce(started_at, ?1), ended_at = ?1 WHERE id = ?2",
            now, id
        )
        .execute(&mut *transaction)
        .await?;
        for install in installs {
            install.save(&mut transaction, now).await?;
        }
        for file in replaced {
            file.save(&mut transaction, now).await?;
        }
        line.save(id, &mut transaction, now).await?;
        transaction.commit().await?;
        changing.completed(id, installs.is_empty()).await;
        Ok(())
    }

    /// All that the file at a path was asked for from when it arrived, queries and mirrors included.
    pub(crate) async fn sources_of_arrival(&self, path: &str) -> Result<Vec<String>, Error> {
        let sources = sqlx::query_scalar!(
            "SELECT file.sources FROM download_files AS file JOIN downloads AS download ON download.id = file.download_id
             WHERE file.path = ? AND file.state = 'completed' AND (file.staged = 0 OR download.state = 'completed')
             ORDER BY download.created_at DESC, download.id DESC LIMIT 1",
            path
        )
        .fetch_optional(&self.pool)
        .await?;
        let sources = match sources {
            Some(sources) => Some(sources),
            // The download that brought it is no longer in the history.
            None => {
                sqlx::query_scalar!("SELECT sources FROM file_sources WHERE path = ?", path)
                    .fetch_optional(&self.pool)
                    .await?
            }
        };
        Ok(sources.map(|sources| list_from_json(&sources)).unwrap_or_default())
    }

    /// Changes a download's place and rate limit; `None` leaves a value as it is. A new priority without a place is behind the
    /// last of that priority. Answers with every position that changed, or `None` where `before` names a download that has ended.
    pub(crate) async fn change_download(
        &self,
        id: &str,
        change: &DownloadChange,
    ) -> Result<Option<Vec<(String, i64)>>, Error> {
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(limit) = change.rate_limit {
            let limit = limit.map(integer);
            sqlx::query!("UPDATE downloads SET rate_limit = ? WHERE id = ?", limit, id)
                .execute(&mut *transaction)
                .await?;
        }
        let moved = match &change.place {
            Some(QueuePlace::Before(other)) => put_before(id, other, &mut transaction).await?,
            Some(QueuePlace::Position(position)) => {
                let priority = change.priority.map(priority_number);
                let position = i64::from(position.get());
                put_at(id, priority, position, &mut transaction).await?;
                Some(vec![(id.to_owned(), position)])
            }
            None => match change.priority.map(priority_number) {
                Some(priority) => Some(put_last(id, priority, &mut transaction).await?),
                None => Some(Vec::new()),
            },
        };
        if let Some(moved) = &moved {
            transaction.commit().await?;
            let others = moved.iter().map(|(id, _)| id.as_str());
            changing.downloads(&others.chain([id]).collect::<Vec<_>>()).await;
        }
        Ok(moved)
    }

    pub(super) async fn with_files(&self, rows: Vec<Row>) -> Result<Vec<StoredDownload>, Error> {
        let ids = json_list(&rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
        let records = sqlx::query!(
            "SELECT download_id, path, sources, sha256, size_bytes, stated_bytes, existing, pinned, staged, state, error
             FROM download_files WHERE download_id IN (SELECT value FROM json_each(?)) ORDER BY download_id, ordinal",
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        let mut files = std::collections::HashMap::<String, Vec<FileRow>>::new();
        for record in records {
            files.entry(record.download_id).or_default().push(FileRow {
                path: record.path,
                sources: list_from_json(&record.sources),
                sha256: record.sha256,
                size_bytes: record.size_bytes.map(unsigned),
                stated_bytes: record.stated_bytes.map(unsigned),
                existing: Existing::parse(&record.existing),
                pinned: record.pinned != 0,
                staged: record.staged != 0,
                state: file_state(&record.state),
                error: record.error,
            });
        }
        let complete = |row: Row| StoredDownload { files: files.remove(&row.id).unwrap_or_default(), row };
        Ok(rows.into_iter().map(complete).collect())
    }
}

/// The position behind the last unfinished download of a priority.
async fn next_position(priority: i64, transaction: &mut Transaction<'_, Sqlite>) -> Result<i64, Error> {
    let last = sqlx::query_scalar!(
        r#"SELECT max(position) AS "last: i64" FROM downloads
           WHERE priority = ? AND state IN ('queued', 'downloading', 'verifying', 'paused')"#,
        priority
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(last.unwrap_or(0).saturating_add(1))
}

async fn put_at(
    id: &str,
    priority: Option<i64>,
    position: i64,
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE downloads SET priority = coalesce(?, priority), position = ? WHERE id = ?",
        priority,
        position,
        id
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Gives a download another priority and the last place in it. One that has that priority already stays where it is.
async fn put_last(
    id: &str,
    priority: i64,
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<Vec<(String, i64)>, Error> {
    let present = sqlx::query_scalar!("SELECT priority FROM downloads WHERE id = ?", id)
        .fetch_optional(&mut **transaction)
        .await?;
    if present == Some(priority) {
        return Ok(Vec::new());
    }
    let position = next_position(priority, transaction).await?;
    put_at(id, Some(priority), position, transaction).await?;
    Ok(vec![(id.to_owned(), position)])
}

/// Puts a download right before another one, into that one's priority. Those behind move up only as far as they have to.
async fn put_before(
    id: &str,
    other: &str,
    transaction: &mut Transaction<'_, Sqlite>,
) -> Result<Option<Vec<(String, i64)>>, Error> {
    let target = sqlx::query!(
        "SELECT priority, position FROM downloads
         WHERE id = ? AND state IN ('queued', 'downloading', 'verifying', 'paused')",
        other
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(target) = target else { return Ok(None) };
    put_at(id, Some(target.priority), target.position, transaction).await?;
    let behind = sqlx::query!(
        "SELECT id, position FROM downloads
         WHERE priority = ?1 AND state IN ('queued', 'downloading', 'verifying', 'paused') AND id <> ?2
               AND (position, id) >= (?3, ?4)
         ORDER BY position, id",
        target.priority,
        id,
        target.position,
        other
    )
    .fetch_all(&mut **transaction)
    .await?;
    // Those at the same position whose ids come first stay ahead, so the download moves behind them.
    let ahead = sqlx::query_scalar!(
        r#"SELECT max(position) AS "last: i64" FROM downloads
           WHERE priority = ?1 AND state IN ('queued', 'downloading', 'verifying', 'paused') AND id <> ?2
                 AND (position, id) < (?3, ?4)"#,
        target.priority,
        id,
        target.position,
        other
    )
    .fetch_one(&mut **transaction)
    .await?;
    let mut free = target.position.max(ahead.map_or(0, |position| position + 1));
    let mut moved = vec![(id.to_owned(), free)];
    for row in behind {
        free = free.saturating_add(1);
        if row.position >= free {
            break;
        }
        moved.push((row.id, free));
    }
    for (id, position) in &moved {
        put_at(id, None, *position, transaction).await?;
    }
    Ok(Some(moved))
}
