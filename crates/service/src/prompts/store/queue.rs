//! The state of the queue as a whole: pause, order, and our name at ComfyUI's socket.

use crate::{
    Error,
    database::{Store, integer},
};

impl Store {
    /// Whether nothing new may start.
    pub(crate) async fn is_queue_paused(&self) -> Result<bool, Error> {
        let paused = sqlx::query_scalar!("SELECT paused FROM prompt_queue WHERE id = 1").fetch_one(&self.pool).await?;
        Ok(paused != 0)
    }

    /// What this database calls itself at ComfyUI's socket: the same after every restart, so that progress goes on.
    pub(crate) async fn socket_name(&self) -> Result<String, Error> {
        Ok(sqlx::query_scalar!("SELECT client_id FROM prompt_queue WHERE id = 1").fetch_one(&self.pool).await?)
    }

    /// Lets nothing new start, or lets it again.
    pub(crate) async fn pause_queue(&self, paused: bool) -> Result<(), Error> {
        sqlx::query!("UPDATE prompt_queue SET paused = ? WHERE id = 1", paused).execute(&self.pool).await?;
        Ok(())
    }

    /// Gives a waiting prompt another priority. Its place within that one is by its submission.
    pub(crate) async fn set_prompt_priority(&self, id: &str, priority: u32) -> Result<(), Error> {
        sqlx::query!(
            "UPDATE prompts SET priority = ? WHERE id = ? AND state IN ('waiting', 'sent', 'queued')",
            priority,
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Puts a waiting prompt right before another one, into that one's priority. The positions of those that it passes
    /// are dealt out anew among them, so that no two are alike. `false` where one of the two does not wait.
    pub(crate) async fn put_prompt_before(&self, id: &str, other: &str) -> Result<bool, Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let target = sqlx::query_scalar!(
            "SELECT priority FROM prompts WHERE id = ? AND state IN ('waiting', 'sent', 'queued')",
            other
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(priority) = target else { return Ok(false) };
        let moved = sqlx::query!(
            "UPDATE prompts SET priority = ? WHERE id = ? AND state IN ('waiting', 'sent', 'queued')",
            priority,
            id
        )
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        let rows = sqlx::query!(
            "SELECT id, position FROM prompts WHERE state IN ('waiting', 'sent', 'queued') AND priority = ? ORDER BY position",
            priority
        )
        .fetch_all(&mut *transaction)
        .await?;
        let positions: Vec<i64> = rows.iter().map(|row| row.position).collect();
        let mut order: Vec<&str> = rows.iter().map(|row| row.id.as_str()).filter(|row| *row != id).collect();
        let place = order.iter().position(|row| *row == other).unwrap_or(order.len());
        order.insert(place, id);
        for ((row, position), before) in order.iter().zip(&positions).zip(&rows) {
            if before.id == **row {
                continue;
            }
            sqlx::query!("UPDATE prompts SET position = ? WHERE id = ?", position, row)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// How many prompts of a priority wait or run before a number; for the place of a new one.
    pub(crate) async fn prompts_ahead_of(&self, number: u64, priority: u32) -> Result<u64, Error> {
        let number = integer(number);
        let ahead = sqlx::query_scalar!(
            "SELECT count(*) FROM prompts WHERE ended_at IS NULL AND number <> ?1
                    AND (state <> 'waiting' OR priority > ?2 OR (priority = ?2 AND number < ?1))",
            number,
            priority
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(super::unsigned(ahead))
    }
}
