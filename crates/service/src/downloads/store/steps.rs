//! One turn of a download: where it stands from now on, and the line of its story that says so, in one transaction.

use sqlx::{Sqlite, Transaction};

use crate::{
    Error,
    downloads::{DownloadState, Failure, PauseReason},
};

/// A line of a download's story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// As [`crate::DownloadTurn::kind`].
    pub kind: &'a str,
    /// What happened, as a sentence.
    pub message: &'a str,
}

/// Where a download stands from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    state: DownloadState,
    pause_reason: Option<PauseReason>,
    failure: Option<&'a Failure>,
    line: Option<Line<'a>>,
}

impl<'a> Step<'a> {
    pub(crate) fn to(state: DownloadState) -> Self {
        Self { state, pause_reason: None, failure: None, line: None }
    }

    pub(crate) fn paused(reason: PauseReason) -> Self {
        Self { pause_reason: Some(reason), ..Self::to(DownloadState::Paused) }
    }

    /// With what went wrong; without it, what went wrong before is forgotten.
    pub(crate) fn because_of(self, failure: impl Into<Option<&'a Failure>>) -> Self {
        Self { failure: failure.into(), ..self }
    }

    pub(crate) fn told(self, line: Line<'a>) -> Self {
        Self { line: Some(line), ..self }
    }

    pub(super) async fn save(self, id: &str, transaction: &mut Transaction<'_, Sqlite>, now: i64) -> Result<(), Error> {
        let started = (self.state == DownloadState::Downloading).then_some(now);
        let ended = (!self.state.is_unfinished()).then_some(now);
        let (state, reason) = (self.state.as_str(), self.pause_reason.map(PauseReason::as_str));
        let failure = self.failure;
        let (code, message) = (failure.map(|f| f.code.as_str()), failure.map(|f| f.message.as_str()));
        let (file, cause) = (failure.and_then(|f| f.file.as_deref()), failure.and_then(|f| f.error.as_deref()));
        sqlx::query!(
            "UPDATE downloads SET state = ?, pause_reason = ?, error_code = ?, error_message = ?, error_file = ?,
                    error_cause = ?, started_at = coalesce(started_at, ?), ended_at = ? WHERE id = ?",
            state,
            reason,
            code,
            message,
            file,
            cause,
            started,
            ended,
            id
        )
        .execute(&mut **transaction)
        .await?;
        match self.line {
            Some(line) => line.save(id, transaction, now).await,
            None => Ok(()),
        }
    }
}

impl Line<'_> {
    pub(super) async fn save(self, id: &str, transaction: &mut Transaction<'_, Sqlite>, now: i64) -> Result<(), Error> {
        sqlx::query!(
            "INSERT INTO download_events (download_id, at, kind, message) VALUES (?, ?, ?, ?)",
            id,
            now,
            self.kind,
            self.message
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}
