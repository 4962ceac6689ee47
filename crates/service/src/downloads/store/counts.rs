//! How much there is in the database: rows by state, and its own size, which also tells whether it answers.

use crate::{
    Error,
    database::{Store, unsigned},
    downloads::DownloadState,
};

impl Store {
    /// How many downloads are and were in each state.
    pub(crate) async fn downloads_by_state(&self) -> Result<Vec<(DownloadState, u64)>, Error> {
        let rows = sqlx::query!("SELECT state, COUNT(*) AS \"count!: i64\" FROM downloads GROUP BY state")
            .fetch_all(&self.pool)
            .await?;
        let count = |state: DownloadState| {
            let row = rows.iter().find(|row| row.state == state.as_str());
            (state, row.map_or(0, |row| unsigned(row.count)))
        };
        Ok(DownloadState::ALL.iter().copied().map(count).collect())
    }

    /// Bytes of the database file.
    pub(crate) async fn size_bytes(&self) -> Result<u64, Error> {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&self.pool).await?;
        let page: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&self.pool).await?;
        Ok(unsigned(pages) * unsigned(page))
    }
}
