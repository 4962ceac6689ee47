//! What a transfer does when a connection failed, the file changed, or its bytes have to be thrown away.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::content_identity::{Identity, SourceKey};
use crate::halt::Halt;
use crate::http::if_range;
use crate::storage::part::Discard;
use crate::transfer::connection::FetchEnd;
use crate::transfer::driver::{Ended, Fetching};
use crate::transfer::of_panic;
use crate::transfer::retry;
use crate::{RestartReason, TransferError};

/// How often the file may change on the server before it is given up.
const MOST_CHANGES: u32 = 3;

/// How often a host is asked whether its validators hold: one more than would do if no file changed meanwhile.
const QUESTIONS: u32 = 3;

impl Fetching<'_> {
    /// A connection's task that panicked ends as one that failed.
    pub(crate) fn died(&self, panic: JoinError) -> Option<Ended> {
        let (segment, running) = self.fetchers.iter().find(|(_, running)| running.task == Some(panic.id()))?;
        let error = of_panic(&self.transfer.file, panic);
        Some(Ended { segment: *segment, source: running.source, end: FetchEnd::Failed { error, retry_after: None } })
    }

    /// A failure that may pass: the budget says how long to wait, or that it is over for this source.
    pub(crate) fn try_again(
        &mut self,
        source: usize,
        error: TransferError,
        asked: Option<Duration>,
    ) -> Result<(), Halt> {
        tracing::debug!(file = %self.transfer.file.destination, %error, "a connection failed");
        self.sources[source].failures += 1;
        if !self.running.is_empty() && asked.is_none() {
            return Ok(()); // Others go on; only when none is left the retry budget decides.
        }
        if error.is_full_file_table() {
            return Err(error.into()); // The transfer waits with its own files closed.
        }
        self.furthest = self.furthest.max(self.part_store.map().present());
        let state = &mut self.sources[source];
        // While it waits nobody is asked: this one was asked before, and its failure is part of the one that counts.
        let wait = match state.waits() {
            true => retry::within_reason(asked.unwrap_or_default()),
            false => match state.budget.failed(self.furthest, asked, self.transfer.engine.chance()) {
                Some(wait) => wait,
                None => {
                    state.dead = Some(error);
                    return self.next_source();
                }
            },
        };
        state.not_before = state.not_before.max(Some(Instant::now() + wait));
        if self.running.is_empty() { self.next_source() } else { Ok(()) }
    }

    /// Everything that has arrived is from another version than what the server has now.
    pub(crate) async fn changed(&mut self) -> Result<(), Halt> {
        self.changes += 1;
        if self.changes >= MOST_CHANGES {
            let host = self.sources[self.current].source.host();
            return Err(Halt::Failed(TransferError::KeepsChanging { host }));
        }
        self.transfer.named.forget();
        self.restart(RestartReason::ChangedOnServer).await?;
        self.validators_lie = self.changes > 1 || !self.validators_hold().await;
        Ok(())
    }

    /// Whether the current source says the same of the file twice in a row. A file that has changed once may change again,
    /// between two questions as well; a host whose validators differ from answer to answer says nothing by that.
    async fn validators_hold(&self) -> bool {
        let source = &self.sources[self.current].source;
        let mut before: Option<Identity> = None;
        for _ in 0..QUESTIONS {
            let asked = tokio::select! {
                biased;
                () = self.transfer.stop.cancelled() => return true,
                asked = if_range::ask(&self.transfer.engine.web, source, before.as_ref(), 0, Some(1)) => asked,
            };
            let Ok(asked) = asked else { return true };
            let facts = &asked.opened.facts;
            if before.is_some_and(|before| before.agrees_with(facts) && !asked.is_refused()) {
                return true;
            }
            before = Some(Identity::new(facts, None, SourceKey::default()));
        }
        false
    }

    /// Throws away what is here and begins anew with the next answer.
    pub(crate) async fn restart(&mut self, reason: RestartReason) -> Result<(), Halt> {
        self.stop_all().await;
        if let Some(hash) = self.hash.take() {
            self.part_store.set_hash(None);
            hash.stop().await;
        }
        self.end_block_verification().await;
        self.end_sync().await;
        let lost = self.part_store.map().present();
        self.part_store.map().reset(self.transfer.file.size);
        self.part_store.stats.set_present(0);
        let part = Arc::clone(&self.part_store.part);
        self.transfer.blocking(move || part.discard(Discard::StartOver(reason))).await?;
        (self.identity, self.hash_state, self.has_first_response) = (None, None, false);
        if lost > 0 {
            self.transfer.restarted(reason).await;
        }
        Ok(())
    }

    /// Ends all connections and waits for them; what they have collected is stored.
    pub(crate) async fn stop_all(&mut self) {
        self.stop_fetchers.cancel();
        while self.running.join_next().await.is_some() {}
        for segment in std::mem::take(&mut self.fetchers).into_keys() {
            self.part_store.map().release(segment);
        }
        self.permits.truncate(1);
        self.stop_fetchers = CancellationToken::new();
    }
}
