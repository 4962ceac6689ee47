//! Reading downloads: the unfinished, the lately ended, the whole history, and the story of one.

use jiff::Timestamp;

use super::rows::RawRow;
use crate::{
    Error,
    database::{Store, integer, milliseconds, timestamp, unsigned},
    downloads::store::{Line, StoredDownload},
    downloads::{DownloadState, DownloadTurn},
};

/// Which ended downloads are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistoryFilter {
    pub state: Option<DownloadState>,
    pub preset_id: Option<String>,
    pub oldest_first: bool,
    pub offset: usize,
    pub limit: usize,
}

impl Store {
    /// One download.
    pub(crate) async fn download(&self, id: &str) -> Result<Option<StoredDownload>, Error> {
        let row =
            sqlx::query_as!(RawRow, "SELECT * FROM downloads WHERE id = ?", id).fetch_optional(&self.pool).await?;
        Ok(self.with_files(row.into_iter().map(Into::into).collect()).await?.pop())
    }

    /// The queue: every unfinished download, in the order in which they run.
    pub(crate) async fn unfinished_downloads(&self) -> Result<Vec<StoredDownload>, Error> {
        let rows = sqlx::query_as!(
            RawRow,
            "SELECT * FROM downloads WHERE state IN ('queued', 'downloading', 'verifying', 'paused')
             ORDER BY priority DESC, position, id"
        )
        .fetch_all(&self.pool)
        .await?;
        self.with_files(rows.into_iter().map(Into::into).collect()).await
    }

    /// Downloads that ended at `since` or later, the latest first.
    pub(crate) async fn downloads_ended_since(&self, since: Timestamp) -> Result<Vec<StoredDownload>, Error> {
        let since = milliseconds(since);
        let rows = sqlx::query_as!(
            RawRow,
            "SELECT * FROM downloads WHERE ended_at >= ? ORDER BY ended_at DESC, id DESC",
            since
        )
        .fetch_all(&self.pool)
        .await?;
        self.with_files(rows.into_iter().map(Into::into).collect()).await
    }

    /// The unfinished download of a preset.
    pub(crate) async fn unfinished_download_of(&self, preset: &str) -> Result<Option<StoredDownload>, Error> {
        let row = sqlx::query_as!(
            RawRow,
            "SELECT * FROM downloads WHERE preset_id = ? AND state IN ('queued', 'downloading', 'verifying', 'paused')",
            preset
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(self.with_files(row.into_iter().map(Into::into).collect()).await?.pop())
    }

    /// The ids of the latest download of each preset that ever had one.
    pub(super) async fn latest_downloads(&self) -> Result<Vec<String>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM downloads AS d
             WHERE preset_id IS NOT NULL AND NOT EXISTS (
                   SELECT 1 FROM downloads AS later WHERE later.preset_id = d.preset_id
                   AND (later.created_at, later.id) > (d.created_at, d.id))"
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }

    /// The downloads of these ids that there are.
    pub(super) async fn downloads_of(&self, ids: &[&str]) -> Result<Vec<StoredDownload>, Error> {
        let ids = serde_json::Value::from(ids.to_vec()).to_string();
        let rows = sqlx::query_as!(RawRow, "SELECT * FROM downloads WHERE id IN (SELECT value FROM json_each(?))", ids)
            .fetch_all(&self.pool)
            .await?;
        self.with_files(rows.into_iter().map(Into::into).collect()).await
    }

    /// A page of the ended downloads, and how many there are.
    pub(crate) async fn download_history(&self, filter: &HistoryFilter) -> Result<(Vec<StoredDownload>, u64), Error> {
        let state = filter.state.map(DownloadState::as_str);
        let (limit, offset) = (integer(filter.limit as u64), integer(filter.offset as u64));
        // One statement for each direction: each reads the index in its order.
        let rows = if filter.oldest_first {
            sqlx::query_as!(
                RawRow,
                "SELECT * FROM downloads
                 WHERE ended_at IS NOT NULL AND (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR preset_id = ?2)
                 ORDER BY ended_at, id LIMIT ?3 OFFSET ?4",
                state,
                filter.preset_id,
                limit,
                offset
            )
            .fetch_all(&self.pool)
            .await?
        } else {
            sqlx::query_as!(
                RawRow,
                "SELECT * FROM downloads
                 WHERE ended_at IS NOT NULL AND (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR preset_id = ?2)
                 ORDER BY ended_at DESC, id DESC LIMIT ?3 OFFSET ?4",
                state,
                filter.preset_id,
                limit,
                offset
            )
            .fetch_all(&self.pool)
            .await?
        };
        let total = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!: i64" FROM downloads
               WHERE ended_at IS NOT NULL AND (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR preset_id = ?2)"#,
            state,
            filter.preset_id
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((self.with_files(rows.into_iter().map(Into::into).collect()).await?, unsigned(total)))
    }

    /// Adds a line to the story of a download.
    pub(crate) async fn tell(&self, id: &str, line: Line<'_>, now: Timestamp) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        line.save(id, &mut transaction, milliseconds(now)).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The story of a download, in order.
    pub(crate) async fn story(&self, id: &str) -> Result<Vec<DownloadTurn>, Error> {
        let rows =
            sqlx::query!("SELECT at, kind, message FROM download_events WHERE download_id = ? ORDER BY at, rowid", id)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows
            .into_iter()
            .map(|row| DownloadTurn { at: timestamp(row.at), kind: row.kind, message: row.message })
            .collect())
    }
}
