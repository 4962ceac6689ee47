//! The audit trail: rows that are written once and go only when newer ones of their class need their place.

use jiff::Timestamp;

use crate::{
    Error,
    access::{Actor, AuditClass, AuditRecord, NewAuditRecord, Outcome},
    database::{Store, integer, milliseconds, timestamp, unsigned},
    page::PageRequest,
};

impl Store {
    /// Adds a line to the trail and drops those of its class that are more than `most` lines back.
    pub(crate) async fn insert_audit_record(
        &self,
        new: &NewAuditRecord,
        class: AuditClass,
        most: i64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (actor, outcome, now) = (new.actor.as_str(), new.outcome.as_str(), milliseconds(now));
        let class = class.as_str();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!(
            "INSERT INTO audit (at, actor, actor_id, actor_name, address, operation, target, outcome, class)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            now,
            actor,
            new.actor_id,
            new.actor_name,
            new.address,
            new.operation,
            new.target,
            outcome,
            class
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "DELETE FROM audit WHERE class = ?1 AND id <=
             (SELECT id FROM audit WHERE class = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            class,
            most
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A page of the trail, the latest first, and how long it is.
    pub(crate) async fn audit_records(&self, page: PageRequest) -> Result<(Vec<AuditRecord>, u64), Error> {
        let (limit, offset) = (i64::from(page.per_page), integer(page.offset() as u64));
        let rows = sqlx::query!(
            "SELECT id, at, actor, actor_id, actor_name, address, operation, target, outcome FROM audit
             ORDER BY id DESC LIMIT ? OFFSET ?",
            limit,
            offset
        )
        .fetch_all(&self.pool)
        .await?;
        let total = sqlx::query_scalar!("SELECT count(*) FROM audit").fetch_one(&self.pool).await?;
        let records = rows.into_iter().map(|row| AuditRecord {
            id: unsigned(row.id),
            at: timestamp(row.at),
            entry: NewAuditRecord {
                actor: Actor::parse(&row.actor),
                actor_id: row.actor_id,
                actor_name: row.actor_name,
                address: row.address,
                operation: row.operation,
                target: row.target,
                outcome: Outcome::parse(&row.outcome),
            },
        });
        Ok((records.collect(), unsigned(total)))
    }
}
