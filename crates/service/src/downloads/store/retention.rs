//! The end of the history: what ended long ago is deleted in small transactions, so that nobody waits behind it.

use jiff::Timestamp;

use crate::{
    Error,
    database::{Store, milliseconds},
};

/// How many downloads or prompts one transaction deletes.
const BATCH: i64 = 200;

/// How many addresses servers are remembered for.
const MOST_SOURCE_FACTS: i64 = 20_000;

impl Store {
    /// Deletes the downloads that ended before `before`, with their files and events. Answers with their number.
    ///
    /// Where files that are still known can be fetched from is no history: it is kept for repairs.
    pub(crate) async fn delete_ended_downloads(&self, before: Timestamp) -> Result<u64, Error> {
        let before = milliseconds(before);
        let mut deleted = 0;
        loop {
            let changing = self.changing();
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query!(
                "INSERT OR REPLACE INTO file_sources (path, sources)
                 SELECT file.path, file.sources FROM download_files AS file
                 JOIN (SELECT id, state FROM downloads WHERE ended_at < ?1 ORDER BY ended_at, id LIMIT ?2) AS old
                      ON old.id = file.download_id
                 WHERE file.state = 'completed' AND (file.staged = 0 OR old.state = 'completed')
                       AND file.path IN (SELECT path FROM files)",
                before,
                BATCH
            )
            .execute(&mut *transaction)
            .await?;
            let batch = sqlx::query!(
                "DELETE FROM downloads WHERE id IN
                        (SELECT id FROM downloads WHERE ended_at < ?1 ORDER BY ended_at, id LIMIT ?2)",
                before,
                BATCH
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            if batch.rows_affected() == 0 {
                changing.nothing();
                return Ok(deleted);
            }
            changing.anything().await;
            deleted += batch.rows_affected();
        }
    }

    /// Deletes the prompts that ended before `before`, with their graphs and outputs. Answers with their number.
    pub(crate) async fn delete_ended_prompts(&self, before: Timestamp) -> Result<u64, Error> {
        let before = milliseconds(before);
        let mut deleted = 0;
        loop {
            let batch = sqlx::query!(
                "DELETE FROM prompts WHERE number IN (SELECT number FROM prompts
                        WHERE ended_at < ? AND state IN ('completed', 'failed', 'interrupted') ORDER BY ended_at LIMIT ?)",
                before,
                BATCH
            )
            .execute(&self.pool)
            .await?;
            if batch.rows_affected() == 0 {
                return Ok(deleted);
            }
            deleted += batch.rows_affected();
        }
    }

    /// Forgets what is remembered beyond its bound: the oldest answers of servers, and where files that are gone came from.
    pub(crate) async fn trim_memories(&self) -> Result<(), Error> {
        sqlx::query!(
            "DELETE FROM source_facts WHERE url IN
                    (SELECT url FROM source_facts ORDER BY recorded_at DESC LIMIT -1 OFFSET ?)",
            MOST_SOURCE_FACTS
        )
        .execute(&self.pool)
        .await?;
        sqlx::query!("DELETE FROM file_sources WHERE path NOT IN (SELECT path FROM files)").execute(&self.pool).await?;
        Ok(())
    }
}
