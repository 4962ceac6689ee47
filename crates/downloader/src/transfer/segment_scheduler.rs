//! Who fetches what next: how many connections there should be, how long a range each is given, from which of the
//! sources that hold the same it is asked, and who has to give a range back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::geometry::Geometry;
use crate::http::source::Source;
use crate::transfer::concurrency::HIGH_RTT;
use crate::transfer::connection::{FetchEnd, Fetcher};
use crate::transfer::connection_stats::Intake;
use crate::transfer::driver::{Ended, Fetching, SMALL_FILE, TICK};
use crate::transfer::retry::RetryBudget;
use crate::transfer::segments::{SegmentId, Span};
use crate::transfer::sources::{self, Standing};
use crate::transfer::stragglers::TAIL_TIMEOUT;
use crate::{Backoff, SourceUrl, TransferError};

/// A connection gets as much as it fetches in this time, so that the hash never waits long for a gap to fill.
const STRETCH: Duration = Duration::from_secs(4);
/// What a connection gets while it is not known how much that is.
const UNMEASURED: u64 = 32 << 20;
/// What it gets at most: a faster one needs no more, since the next request is made ahead of time, and what comes so fast
/// should come in order.
const MOST_STRETCH: u64 = 96 << 20;
/// Least that a connection is asked to fetch while there is more.
const MIN_SEGMENT: u64 = 4 << 20;
const MOST_OF_LEAST: u64 = 32 << 20;
/// A range takes at least so many times as long as its time to first byte, which is a round trip or more.
const TTFB_MULTIPLE: f64 = 4.0;
/// A connection's rate is what it brought in so long.
const MEASURED_OVER: Duration = Duration::from_secs(1);

/// A source, what is known of it, and why it is no longer asked.
#[derive(Debug)]
pub(crate) struct SourceState {
    pub(crate) source: Arc<Source>,
    /// Since it last gave what it was asked for.
    pub(crate) failures: u32,
    pub(crate) budget: RetryBudget,
    /// It has sent bytes of the file in this run.
    pub(crate) delivered: bool,
    /// Refusals in a row, each while no other connection to it delivered.
    pub(crate) refused_alone: u32,
    pub(crate) dead: Option<TransferError>,
    /// No request before this.
    pub(crate) not_before: Option<Instant>,
    /// It was asked for a part of what is here and holds something else.
    pub(crate) differs: bool,
    /// Bytes a second that one connection to it brought lately.
    pub(crate) rate: Option<f64>,
    /// It is far slower than another.
    pub(crate) left: bool,
}

/// A connection at work.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) source: usize,
    pub(crate) task: Option<task::Id>,
    pub(crate) since: Instant,
    intake: Arc<Intake>,
    pub(crate) stop: CancellationToken,
    /// It was asked before another one was done.
    pub(crate) asked_ahead: bool,
    /// When it was last seen to have brought bytes.
    pub(crate) last_bytes: Option<Instant>,
    /// Since when it has waited for the server in vain.
    pub(crate) idle_since: Instant,
    /// What it had received when it was last looked at.
    heard: u64,
    /// Since when its rate is measured, and what it had received by then.
    window: Option<(Instant, u64)>,
}

impl SourceState {
    pub(crate) fn new(listed: SourceUrl, backoff: Backoff) -> Self {
        Self {
            source: Arc::new(Source::new(listed)),
            failures: 0,
            budget: RetryBudget::new(backoff),
            delivered: false,
            refused_alone: 0,
            dead: None,
            not_before: None,
            differs: false,
            rate: None,
            left: false,
        }
    }

    pub(crate) fn waits(&self) -> bool {
        self.not_before.is_some_and(|until| Instant::now() < until)
    }

    fn measured(&mut self, rate: f64) {
        self.rate = Some(self.rate.map_or(rate, |before| (before + rate) / 2.0));
    }

    /// Least that is worth a request.
    fn min_segment(&self, geometry: Geometry) -> u64 {
        let in_flight = self.rate.unwrap_or(0.0) * self.source.ttfb().as_secs_f64();
        ((in_flight * TTFB_MULTIPLE) as u64).clamp(geometry.scaled(MIN_SEGMENT), geometry.scaled(MOST_OF_LEAST))
    }
}

impl Running {
    pub(crate) fn new(source: usize, fetcher: &Fetcher, asked_ahead: bool) -> Self {
        let since = Instant::now();
        let (intake, stop) = (Arc::clone(&fetcher.intake), fetcher.stop.clone());
        let (last_bytes, idle_since, heard) = (None, since, 0);
        Self { source, task: None, since, intake, stop, asked_ahead, last_bytes, idle_since, heard, window: None }
    }

    pub(crate) fn received(&self) -> u64 {
        self.intake.received()
    }

    /// Takes note of whether it has brought bytes since the last time.
    pub(crate) fn observe(&mut self, now: Instant) {
        let received = self.received();
        if received > self.heard {
            (self.heard, self.last_bytes) = (received, Some(now));
        }
        if self.last_bytes == Some(now) || self.intake.is_busy() {
            self.idle_since = now;
        }
    }

    /// Bytes a second since the last answer to this question, when enough time has passed. Begins with the first byte.
    fn measure(&mut self, now: Instant) -> Option<f64> {
        let received = self.received();
        let Some((since, before)) = self.window else {
            self.window = (received > 0).then_some((now, received));
            return None;
        };
        let elapsed = now - since;
        if elapsed < MEASURED_OVER {
            return None;
        }
        self.window = Some((now, received));
        Some((received - before) as f64 / elapsed.as_secs_f64())
    }
}

impl Fetching<'_> {
    /// Starts as many connections as help and as the job allows.
    pub(crate) fn start_fetchers(&mut self) {
        while self.start_another() {}
        self.permits.truncate(self.running.len().max(1));
    }

    fn start_another(&mut self) -> bool {
        let nearly_done = self.nearly_done();
        if self.running.len() >= self.wanted_connections() + nearly_done {
            return false;
        }
        let Some(source) = sources::next(&self.standings(), self.current) else { return false };
        if self.running.len() >= self.permits.len() + nearly_done {
            let Ok(permit) = Arc::clone(&self.transfer.slots).try_acquire_owned() else { return false };
            self.permits.push(permit);
        }
        let ahead = self.running.len() >= self.permits.len();
        let (range, least) = (self.range(source), self.least_stolen(source));
        let assigned = {
            let mut map = self.part_store.map();
            map.assign(range).or_else(|| if ahead { None } else { map.steal(least, range) })
        };
        let Some((segment, span)) = assigned else { return false };
        self.start_fetcher(source, segment, span, ahead);
        true
    }

    /// Connections whose range ends within a round trip: the next one is asked for now, so that no round trip lies between
    /// the two.
    fn nearly_done(&self) -> usize {
        if !self.may_ask_ahead {
            return 0;
        }
        let map = self.part_store.map();
        let is_nearly_done = |(segment, running): (&SegmentId, &Running)| {
            let source = &self.sources[running.source];
            let ttfb = source.source.ttfb();
            let soon = source.rate.unwrap_or(0.0) * (ttfb + TICK / 2).as_secs_f64();
            let left = map.assigned(*segment).map_or(0, Span::left);
            ttfb >= HIGH_RTT && running.received() > 0 && left as f64 <= soon
        };
        self.fetchers.iter().filter(|entry| is_nearly_done(*entry)).count()
    }

    pub(crate) fn wanted_connections(&self) -> usize {
        if !self.ranges || self.validators_lie {
            return 1;
        }
        let small = self.part_store.map().total().is_none_or(|total| total <= self.geometry().scaled(SMALL_FILE));
        let wanted = if small { 1 } else { self.connections.target() };
        if wanted == 1 && self.another_source_may_help() { 2 } else { wanted }
    }

    /// One connection is enough for a small file, unless it would take long and somebody else may be faster.
    fn another_source_may_help(&self) -> bool {
        let asked: Vec<_> = self.standings().into_iter().filter(|source| source.usable && !source.left).collect();
        let rate: f64 = asked.iter().filter_map(|source| Some(source.rate? * source.running as f64)).sum();
        let missing = self.part_store.map().missing() as f64;
        asked.len() > 1 && rate > 0.0 && missing / rate > TAIL_TIMEOUT.as_secs_f64()
    }

    /// How much the next connection is asked to fetch: a few seconds' worth, and less towards the end, so that all
    /// end together and the hash has no gap to wait for.
    fn range(&self, source: usize) -> u64 {
        let wanted = self.wanted_connections() as u64;
        if wanted == 1 {
            return u64::MAX;
        }
        let source = &self.sources[source];
        let by_time =
            source.rate.map_or(self.geometry().scaled(UNMEASURED), |rate| (rate * STRETCH.as_secs_f64()) as u64);
        let fair = self.part_store.map().missing() / (2 * wanted);
        by_time.min(fair).clamp(source.min_segment(self.geometry()), self.geometry().scaled(MOST_STRETCH))
    }

    /// Least that is worth taking from another connection.
    fn least_stolen(&self, source: usize) -> u64 {
        if self.another_source_may_help() {
            self.geometry().block()
        } else {
            self.sources[source].min_segment(self.geometry()) / 2
        }
    }

    fn start_fetcher(&mut self, index: usize, segment: SegmentId, span: Span, ahead: bool) {
        let fetcher = self.fetcher();
        let source = Arc::clone(&self.sources[index].source);
        let identity = self.identity.clone().unwrap_or_default();
        let (trusted, running) = (!self.validators_lie, Running::new(index, &fetcher, ahead));
        let work = async move { fetcher.fetch(&source, &identity, trusted, segment, span).await };
        self.connect(segment, running, work);
    }

    /// Lets a connection work on its segment.
    pub(crate) fn connect(
        &mut self,
        segment: SegmentId,
        mut running: Running,
        work: impl Future<Output = FetchEnd> + Send + 'static,
    ) {
        let source = running.source;
        let task = self.running.spawn(async move { Ended { segment, source, end: work.await } });
        running.task = Some(task.id());
        self.fetchers.insert(segment, running);
    }

    /// How it stands with each source.
    fn standings(&self) -> Vec<Standing> {
        let may_be_asked = |index| index == self.current || self.may_hold_what_is_here(index);
        let standing = |(index, state): (usize, &SourceState)| Standing {
            usable: may_be_asked(index) && state.dead.is_none() && !state.waits(),
            failures: state.failures,
            running: self.fetchers.values().filter(|running| running.source == index).count(),
            rate: state.rate,
            left: state.left,
        };
        self.sources.iter().enumerate().map(standing).collect()
    }

    /// Whether a source may have the bytes that are missing, and gives them as a part of what is here. Any but the first one
    /// has to be able to prove it.
    pub(crate) fn may_hold_what_is_here(&self, index: usize) -> bool {
        let Some(identity) = &self.identity else { return true };
        let state = &self.sources[index];
        !state.differs && (state.source.key == identity.source || identity.can_be_proven())
    }

    /// Measures what the sources give, and takes their stretches from those that are far slower than another.
    pub(crate) fn compare_sources(&mut self, now: Instant) {
        for running in self.fetchers.values_mut() {
            if let Some(rate) = running.measure(now) {
                self.sources[running.source].measured(rate);
            }
        }
        let mut standings = self.standings();
        sources::judge(&mut standings);
        for (index, standing) in standings.into_iter().enumerate() {
            let state = &mut self.sources[index];
            if standing.left && !state.left {
                tracing::info!(file = %self.transfer.file.destination, host = state.source.host(), "a slow source is left");
                let slow = self.fetchers.iter().filter(|(_, running)| running.source == index);
                slow.for_each(|(segment, _)| self.part_store.map().release(*segment));
            }
            state.left = standing.left;
        }
    }

    /// A connection has ended: its rate counts where nothing longer was measured.
    pub(crate) fn measure_ended(&mut self, running: &Running) {
        let (elapsed, source) = (running.since.elapsed(), &mut self.sources[running.source]);
        if source.rate.is_none() && running.received() >= self.transfer.engine.geometry.block() {
            source.measured(running.received() as f64 / elapsed.as_secs_f64());
        }
    }
}
