//! The first answer of a source: what it says of the file, whether that is the file asked for and the one that is here
//! in part, and which source is asked next when it is not.

use std::sync::Arc;

use tokio::time::Instant;

use crate::content_identity::Identity;
use crate::halt::Halt;
use crate::http::classify::OpenError;
use crate::http::if_range;
use crate::http::response::Body;
use crate::http::source::Opened;
use crate::transfer::driver::{FIRST_STRETCH, Fetching};
use crate::transfer::segment_scheduler::Running;
use crate::transfer::segments::Span;
use crate::{RestartReason, TokenHint, TransferError};

impl Fetching<'_> {
    /// Asks the current source for the first missing bytes, and starts the first connection with its answer.
    pub(crate) async fn first_response(&mut self) -> Result<(), Halt> {
        let source = Arc::clone(&self.sources[self.current].source);
        let known = self.identity.as_ref().filter(|_| !self.validators_lie);
        let Span { next: start, end } = self.first_missing();
        let whole = !self.ranges || (self.validators_lie && start == 0);
        let end = (!whole).then_some(end);
        let asked = tokio::select! {
            biased;
            () = self.transfer.stop.cancelled() => return Err(Halt::Stopped),
            asked = if_range::ask(&self.transfer.engine.web, &source, known, start, end) => asked,
        };
        match asked {
            Ok(asked) => self.accept(asked.opened, start, whole).await,
            Err(OpenError::Transient { error, retry_after }) => {
                source.doubt();
                self.try_again(self.current, error, retry_after)
            }
            Err(OpenError::Final(error) | OpenError::Refused { error, .. }) => {
                self.source_refused(self.current, error).await
            }
            Err(OpenError::Unsatisfiable { total }) => self.unsatisfiable(total).await,
        }
    }

    /// The gap that will be assigned first; the beginning, while nothing is known.
    fn first_missing(&self) -> Span {
        let beginning = Span { next: 0, end: self.geometry().scaled(FIRST_STRETCH) };
        if self.identity.is_none() {
            return beginning;
        }
        let mut map = self.part_store.map();
        let Some((segment, gap)) = map.assign(self.geometry().scaled(FIRST_STRETCH)) else {
            return beginning;
        };
        map.release(segment);
        Span { end: gap.end.min(gap.next.saturating_add(self.geometry().scaled(FIRST_STRETCH))), ..gap }
    }

    async fn unsatisfiable(&mut self, total: Option<u64>) -> Result<(), Halt> {
        let host = self.sources[self.current].source.host();
        if self.identity.is_some() {
            return self.changed().await;
        }
        if total == Some(0) && self.transfer.file.size != Some(0) {
            let error = TransferError::not_a_file(&host, "an empty body", None);
            return self.source_refused(self.current, error).await;
        }
        let problem = "it says that the file has no beginning (416)".to_owned();
        self.ranges = false;
        self.try_again(self.current, TransferError::BadAnswer { host, problem }, None)
    }

    async fn accept(&mut self, opened: Opened, start: u64, asked_whole: bool) -> Result<(), Halt> {
        if let Some(error) = self.contradiction(&opened) {
            let error = self.no_file(opened).await.unwrap_or(error);
            return self.source_refused(self.current, error).await;
        }
        let is_whole = matches!(opened.body, Body::Whole(_));
        if self.identity.is_some() && !self.continues(&opened) {
            return match self.no_file(opened).await {
                Some(error) => self.source_refused(self.current, error).await,
                None => self.is_another_version().await,
            };
        }
        self.transfer.named.learn(opened.facts.sha256);
        if self.identity.is_some() {
            if is_whole && self.part_store.map().present() > 0 {
                self.restart(RestartReason::RangesRefused).await?;
                self.ranges = false;
                return Ok(());
            }
            self.make_room().await?;
        } else {
            self.begin(&opened).await?;
        }
        if is_whole && !asked_whole {
            self.ranges = false;
        }
        self.facts = opened.facts.clone();
        self.has_first_response = true;
        self.connections.answered(Instant::now(), self.sources[self.current].source.ttfb());
        self.transfer.started(self.facts.clone()).await;
        self.start_first(opened, start);
        Ok(())
    }

    /// A body without a length has ended with its connection. Where no hash decides in the end, the server is asked once for what
    /// follows: that nothing does, it can say, and one that ignores ranges cannot.
    pub(crate) async fn prove_end(&mut self, index: usize) -> Result<(), Halt> {
        let end = self.part_store.map().contiguous_end();
        if self.transfer.expected().is_none() {
            let source = Arc::clone(&self.sources[index].source);
            let asked = tokio::select! {
                biased;
                () = self.transfer.stop.cancelled() => return Err(Halt::Stopped),
                asked = if_range::ask(&self.transfer.engine.web, &source, None, end, Some(u64::MAX)) => asked,
            };
            let host = source.host();
            let cut = || TransferError::BadAnswer { host, problem: "it ended early".to_owned() };
            match asked.map(|asked| asked.opened.body) {
                // There is more. The next connection asks for it.
                Ok(Body::Part(_)) => {
                    self.ranges = true;
                    return Ok(());
                }
                Ok(Body::Whole(Some(total))) | Err(OpenError::Unsatisfiable { total: Some(total) }) if total != end => {
                    return self.try_again(index, cut(), None);
                }
                Err(OpenError::Transient { error, retry_after }) => return self.try_again(index, error, retry_after),
                _ => {}
            }
        }
        let mut map = self.part_store.map();
        map.end_here();
        self.part_store.stats.set_total(map.total());
        Ok(())
    }

    async fn no_file(&self, opened: Opened) -> Option<TransferError> {
        let name = self.transfer.file.destination.name();
        let (host, retry_after) =
            (self.sources[self.current].source.host(), self.transfer.engine.settings.stall_timeout);
        tokio::select! {
            biased;
            () = self.transfer.stop.cancelled() => None,
            error = opened.no_file(name, &host, retry_after) => error,
        }
    }

    /// What the answer says against what the caller knows.
    fn contradiction(&self, opened: &Opened) -> Option<TransferError> {
        let host = self.sources[self.current].source.host();
        let (file, facts) = (&self.transfer.file, &opened.facts);
        match (file.size, facts.size) {
            (Some(expected), Some(actual)) if expected != actual => {
                return Some(TransferError::SizeMismatch { host, expected, actual });
            }
            (Some(expected), None) if opened.body.end().is_some_and(|end| end > expected) => {
                let actual = opened.body.end().unwrap_or_default();
                return Some(TransferError::SizeMismatch { host, expected, actual });
            }
            (expected, Some(0)) if expected != Some(0) => {
                return Some(TransferError::not_a_file(&host, "an empty body", None));
            }
            _ => {}
        }
        match (file.sha256, facts.sha256) {
            (Some(expected), Some(actual)) if expected != actual => {
                Some(TransferError::HashMismatch { expected, actual })
            }
            _ => None,
        }
    }

    /// Whether the answer belongs to the bytes that are here.
    fn continues(&self, opened: &Opened) -> bool {
        let Some(identity) = &self.identity else { return true };
        let facts = &opened.facts;
        if self.validators_lie {
            return identity.total == facts.size;
        }
        identity.is_held_by(&self.sources[self.current].source.key, facts)
    }

    async fn is_another_version(&mut self) -> Result<(), Halt> {
        let asked = &self.sources[self.current].source.key;
        if self.identity.as_ref().is_none_or(|identity| identity.source == *asked) {
            return self.changed().await;
        }
        self.sources[self.current].differs = true;
        self.next_source()?;
        if !self.may_hold_what_is_here(self.current) {
            return self.restart(RestartReason::OtherSource).await;
        }
        Ok(())
    }

    /// A file of which nothing is here: room, journal, hash.
    async fn begin(&mut self, opened: &Opened) -> Result<(), Halt> {
        let source = self.sources[self.current].source.key.clone();
        let identity = Identity::new(&opened.facts, self.transfer.expected(), source);
        let total = identity.total.or(self.transfer.file.size);
        self.part_store.map().reset(total);
        self.part_store.stats.set_total(total);
        self.make_room().await?;
        if matches!(opened.body, Body::Part(_)) && total.is_some_and(|total| total > self.part_store.part.block_size())
        {
            let (part, noted) = (Arc::clone(&self.part_store.part), identity.clone());
            self.transfer
                .blocking(move || {
                    part.begin_journal(&noted).map_err(|error| part.error("writing the journal of", error))
                })
                .await?;
        }
        self.identity = Some(identity);
        self.start_hash(None);
        Ok(())
    }

    /// Enters what is missing in the ledger, less what an earlier try has set aside for it, and lets the file system set
    /// it aside where it can.
    async fn make_room(&mut self) -> Result<(), Halt> {
        let (total, missing, present) = {
            let map = self.part_store.map();
            (map.total(), map.missing(), map.present())
        };
        let Some(total) = total else { return Ok(()) };
        let (part, space) = (Arc::clone(&self.part_store.part), Arc::clone(&self.transfer.engine.space));
        let key = self.transfer.key;
        let room = move || {
            let needed = missing.saturating_sub(part.allocated().saturating_sub(present));
            part.reserve(&space, key, needed).map_err(Halt::Shortage)?;
            if total <= part.block_size() {
                return Ok(None);
            }
            Ok(Some(part.preallocate(total).map_err(|error| part.error("making room for", error))?))
        };
        self.preallocated = self.transfer.stoppable(room).await?.unwrap_or(self.preallocated);
        let space = &self.transfer.engine.space;
        if self.preallocated {
            // From here on the file system itself counts these bytes as used.
            space.still_needs(self.transfer.key, 0);
        }
        Ok(())
    }

    /// Nobody says how large the file is: there has to be room for as much as came since the last look.
    pub(crate) async fn look_for_room_ahead(&mut self) -> Result<(), Halt> {
        let here = self.part_store.map().present();
        let ahead = here.saturating_sub(self.looked_for_room_at).max(self.part_store.part.block_size());
        self.looked_for_room_at = here;
        let (space, key) = (Arc::clone(&self.transfer.engine.space), self.transfer.key);
        let part = Arc::clone(&self.part_store.part);
        self.transfer.blocking(move || Ok(part.reserve(&space, key, ahead)?)).await
    }

    /// Starts the connection that stores the first answer.
    fn start_first(&mut self, opened: Opened, start: u64) {
        let length = match opened.body {
            Body::Part(range) => range.end - range.start,
            Body::Whole(_) => u64::MAX,
        };
        let assigned = self.part_store.map().assign(length);
        let Some((segment, Span { next, .. })) = assigned else { return };
        if next != start {
            // A block was invalidated meanwhile: this answer is for later bytes. Ask again.
            self.part_store.map().release(segment);
            return;
        }
        let fetcher = self.fetcher();
        let index = self.current;
        let host = self.sources[index].source.host();
        let running = Running::new(index, &fetcher, false);
        self.connect(segment, running, async move { fetcher.store(opened, segment, start, &host).await });
    }

    /// A source that cannot give the file is not asked again.
    pub(crate) async fn source_refused(&mut self, index: usize, mut error: TransferError) -> Result<(), Halt> {
        let source = &mut self.sources[index];
        if let TransferError::NotAFile { hint, .. } = &mut error {
            let token = self.transfer.engine.web.hint_for(&source.source.listed);
            *hint = Some(token).filter(|token| *token != TokenHint::NoneForHost);
        }
        source.dead = Some(error);
        if index == self.current {
            self.stop_all().await;
            self.next_source()?;
        }
        Ok(())
    }

    /// Whether the current source may be asked now. While its `Retry-After` lasts, another one takes its place that does not.
    pub(crate) fn somebody_may_be_asked(&mut self) -> Result<bool, Halt> {
        if self.sources[self.current].waits() {
            self.next_source()?;
        }
        Ok(!self.sources[self.current].waits())
    }

    /// Goes on with the source that has failed least, of those that may hold what is here and may be asked now. When none is
    /// left, the first one's error tells the story.
    pub(crate) fn next_source(&mut self) -> Result<(), Halt> {
        let alive = (0..self.sources.len()).filter(|index| self.sources[*index].dead.is_none());
        let order = |index: &usize| {
            let source = &self.sources[*index];
            (!self.may_hold_what_is_here(*index), source.waits(), source.failures, source.left)
        };
        let Some(next) = alive.min_by_key(order) else {
            let error = self.sources.iter_mut().find_map(|source| source.dead.take());
            let nothing = || TransferError::NotFound { host: String::new(), status: 404 };
            return Err(error.unwrap_or_else(nothing).into());
        };
        if next != self.current {
            self.current = next;
            self.has_first_response = false;
        }
        Ok(())
    }
}
