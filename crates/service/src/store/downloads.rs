//! Rows of downloads that live: making them, moving them from state to state, reading them back.

use jiff::Timestamp;

use super::{
    DownloadInsert, Existing, FileRow, InstallRow, Line, ReplacedFile, Step, Store, StoredDownload, integer, json_list,
    list_from_json, milliseconds,
    rows::{Row, file_state, priority_number, stored_file_state},
    unsigned,
};
use crate::{
    Error,
    downloads::{DownloadState, Priority},
};

impl Store {
    /// Keeps a new download, last in its priority, and the first line of its story. They are on the disk when this returns.
    pub(crate) async fn insert_download(&self, new: &DownloadInsert, line: Line<'_>) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let (priority, created_at) = (priority_number(new.priority), milliseconds(new.created_at));
        let warnings = json_list(&new.warnings);
        sqlx::query!(
            "INSERT INTO downloads (id, preset_id, state, priority, position, definition, warnings, created_at)
             VALUES (?, ?, 'queued', ?, (SELECT coalesce(max(position), 0) + 1 FROM downloads), ?, ?, ?)",
            new.id,
            new.preset_id,
            priority,
            new.definition,
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
                new.id, ordinal, file.path, sources, file.sha256, size, stated, existing, file.pinned,
                file.staged, state
            )
            .execute(&mut *transaction)
            .await?;
        }
        line.save(&new.id, &mut transaction, created_at).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Moves a download on, and tells its story on with it.
    pub(crate) async fn step(&self, id: &str, step: Step<'_>, now: Timestamp) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        step.save(id, &mut transaction, milliseconds(now)).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts a download back into the queue, its failed files among those that wait.
    pub(crate) async fn queue_again(&self, id: &str, line: Line<'_>, now: Timestamp) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!(
            "UPDATE download_files SET state = 'pending', error = NULL WHERE download_id = ? AND state = 'failed'",
            id
        )
        .execute(&mut *transaction)
        .await?;
        Step::to(DownloadState::Queued).told(line).save(id, &mut transaction, milliseconds(now)).await?;
        transaction.commit().await?;
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
        let now = milliseconds(now);
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
        Ok(sources.map(|sources| list_from_json(&sources)).unwrap_or_default())
    }

    /// Changes what somebody may change; `None` leaves a value as it is.
    pub(crate) async fn change_download(
        &self,
        id: &str,
        priority: Option<Priority>,
        position: Option<i64>,
        rate_limit: Option<Option<u64>>,
    ) -> Result<(), Error> {
        let priority = priority.map(priority_number);
        let (set_limit, limit) = (rate_limit.is_some(), rate_limit.flatten().map(integer));
        sqlx::query!(
            "UPDATE downloads SET priority = coalesce(?, priority), position = coalesce(?, position),
                    rate_limit = CASE WHEN ? THEN ? ELSE rate_limit END WHERE id = ?",
            priority,
            position,
            set_limit,
            limit,
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
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
