//! Which presets are installed here, and which of their files another one replaced.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use crate::{
    Error,
    database::{Store, milliseconds, timestamp},
};

/// An install that somebody asked for and that came to its end.
#[derive(Debug, Clone)]
pub(crate) struct InstallRow {
    pub preset_id: String,
    pub version: String,
    /// The preset as it was, as JSON.
    pub definition: String,
    /// When; ignored on saving, where the transaction's time counts.
    pub installed_at: Timestamp,
}

/// A file of an installed preset that the forced install of another one replaced.
#[derive(Debug, Clone)]
pub(crate) struct ReplacedFile {
    pub preset_id: String,
    pub path: String,
    pub replaced_by: String,
}

impl InstallRow {
    pub(crate) async fn save(&self, transaction: &mut Transaction<'_, Sqlite>, now: i64) -> Result<(), Error> {
        sqlx::query!(
            "INSERT INTO installs (preset_id, version, definition, installed_at) VALUES (?, ?, ?, ?)
             ON CONFLICT (preset_id) DO UPDATE SET version = excluded.version, definition = excluded.definition,
                 installed_at = excluded.installed_at",
            self.preset_id,
            self.version,
            self.definition,
            now
        )
        .execute(&mut **transaction)
        .await?;
        sqlx::query!("DELETE FROM replaced_files WHERE preset_id = ?", self.preset_id)
            .execute(&mut **transaction)
            .await?;
        request(&self.preset_id, transaction, now).await
    }
}

/// Notes that a preset is wanted here.
async fn request(preset: &str, transaction: &mut Transaction<'_, Sqlite>, now: i64) -> Result<(), Error> {
    sqlx::query!("INSERT OR IGNORE INTO preset_requests (preset_id, requested_at) VALUES (?, ?)", preset, now)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl ReplacedFile {
    pub(crate) async fn save(&self, transaction: &mut Transaction<'_, Sqlite>, now: i64) -> Result<(), Error> {
        sqlx::query!(
            "INSERT OR REPLACE INTO replaced_files (preset_id, path, replaced_by, at) VALUES (?, ?, ?, ?)",
            self.preset_id,
            self.path,
            self.replaced_by,
            now
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Every install that is remembered.
    pub(crate) async fn installs(&self) -> Result<Vec<InstallRow>, Error> {
        let rows = sqlx::query!("SELECT preset_id, version, definition, installed_at FROM installs ORDER BY preset_id")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| InstallRow {
                preset_id: row.preset_id,
                version: row.version,
                definition: row.definition,
                installed_at: timestamp(row.installed_at),
            })
            .collect())
    }

    /// Notes that these presets are wanted here, until they are uninstalled.
    pub(crate) async fn request_presets(&self, presets: &[String], now: Timestamp) -> Result<(), Error> {
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for preset in presets {
            request(preset, &mut transaction, milliseconds(now)).await?;
        }
        transaction.commit().await?;
        changing.installs().await;
        Ok(())
    }

    /// The presets that are wanted here.
    pub(crate) async fn requested_presets(&self) -> Result<HashSet<String>, Error> {
        let ids = sqlx::query_scalar!("SELECT preset_id FROM preset_requests").fetch_all(&self.pool).await?;
        Ok(ids.into_iter().collect())
    }

    /// Forgets an install, that it was asked for, and what was replaced of it.
    pub(crate) async fn forget_install(&self, preset: &str) -> Result<(), Error> {
        let changing = self.changing();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!("DELETE FROM installs WHERE preset_id = ?", preset).execute(&mut *transaction).await?;
        sqlx::query!("DELETE FROM preset_requests WHERE preset_id = ?", preset).execute(&mut *transaction).await?;
        sqlx::query!("DELETE FROM replaced_files WHERE preset_id = ?", preset).execute(&mut *transaction).await?;
        transaction.commit().await?;
        changing.installs().await;
        Ok(())
    }

    /// Every replaced file that is remembered.
    pub(crate) async fn replaced_files(&self) -> Result<Vec<ReplacedFile>, Error> {
        let rows = sqlx::query!("SELECT preset_id, path, replaced_by FROM replaced_files ORDER BY preset_id, path")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| ReplacedFile { preset_id: row.preset_id, path: row.path, replaced_by: row.replaced_by })
            .collect())
    }
}
