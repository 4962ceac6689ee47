//! What looks into model files found, by the stamp of the file.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    Error,
    database::{Store, integer, milliseconds, timestamp, unsigned},
    model_dir::Stamp,
    models::{FindingCode, Safety},
};

/// What a look into a file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValidationRow {
    pub path: String,
    pub stamp: Stamp,
    pub sha256: String,
    /// What its own bytes say, hash aside.
    pub findings: Vec<(FindingCode, String)>,
    /// Whether the structure accounts for every byte, for formats that say so.
    pub whole: Option<bool>,
    pub safety: Option<Safety>,
    /// The version of the reader that found it.
    pub reader: u32,
    pub checked_at: Timestamp,
}

impl Store {
    /// Keeps what was found.
    pub(crate) async fn save_validation(&self, row: &ValidationRow) -> Result<(), Error> {
        let (size, inode, checked) = (integer(row.stamp.size), integer(row.stamp.inode), milliseconds(row.checked_at));
        let findings = to_json(&row.findings);
        let safety = row.safety.map(Safety::as_str);
        sqlx::query!(
            "INSERT OR REPLACE INTO validations
                 (path, size_bytes, mtime_ns, inode, sha256, findings, checked_at, reader, whole, safety)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row.path,
            size,
            row.stamp.mtime_ns,
            inode,
            row.sha256,
            findings,
            checked,
            row.reader,
            row.whole,
            safety
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Everything that was found, by path.
    pub(crate) async fn validations(&self) -> Result<HashMap<String, ValidationRow>, Error> {
        let rows = sqlx::query!("SELECT * FROM validations").fetch_all(&self.pool).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let stamp =
                    Stamp { size: unsigned(row.size_bytes), mtime_ns: row.mtime_ns, inode: unsigned(row.inode) };
                let found = ValidationRow {
                    path: row.path.clone(),
                    stamp,
                    sha256: row.sha256,
                    findings: from_json(&row.findings),
                    whole: row.whole.map(|whole| whole != 0),
                    safety: row.safety.as_deref().and_then(Safety::parse),
                    reader: u32::try_from(row.reader).unwrap_or(0),
                    checked_at: timestamp(row.checked_at),
                };
                (row.path, found)
            })
            .collect())
    }
}

fn to_json(findings: &[(FindingCode, String)]) -> String {
    let pairs: Vec<(&str, &str)> = findings.iter().map(|(code, message)| (code.as_str(), message.as_str())).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn from_json(text: &str) -> Vec<(FindingCode, String)> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
    pairs.into_iter().filter_map(|(code, message)| Some((FindingCode::parse(&code)?, message))).collect()
}
