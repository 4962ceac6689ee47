//! One connection's work: ask for a range of the file, check the answer, store its bytes. It retries nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, Version};
use tokio_util::sync::CancellationToken;

use crate::TransferError;
use crate::content_identity::{Identity, NamedHash};
use crate::http::classify::{self, OpenError};
use crate::http::if_range;
use crate::http::response::{self, Body};
use crate::http::source::{Opened, Source, Web};
use crate::storage::direct_buffers::BlockBuffers;
use crate::threads::Threads;
use crate::transfer::connection_stats::Intake;
use crate::transfer::part_store::PartStore;
use crate::transfer::rate_limit::Bandwidth;
use crate::transfer::segment_writer::Writer;
use crate::transfer::segments::{SegmentId, Span};

/// What a connection needs.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    pub(crate) web: Arc<Web>,
    pub(crate) threads: Threads,
    pub(crate) part_store: Arc<PartStore>,
    pub(crate) buffers: Arc<BlockBuffers>,
    pub(crate) limits: [Arc<Bandwidth>; 2],
    pub(crate) stall_timeout: Duration,
    pub(crate) stop: CancellationToken,
    pub(crate) named: Arc<NamedHash>,
    pub(crate) intake: Arc<Intake>,
}

/// How a connection's work ended.
#[derive(Debug)]
pub(crate) enum FetchEnd {
    /// Its range is stored, or was taken over by others.
    Done,
    /// It was told to stop.
    Stopped,
    /// The network or the server failed; asking again may help.
    Failed { error: TransferError, retry_after: Option<Duration> },
    /// This source cannot give the file.
    Refused(TransferError),
    /// The answer belongs to another version of the file.
    Changed,
    /// The whole file came where a part was asked for.
    RangesRefused,
    /// The connection was closed, and nothing tells whether that is the end of the file.
    EndUnproven,
    /// The disk failed.
    Disk(io::Error),
}

impl From<OpenError> for FetchEnd {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Final(error) | OpenError::Refused { error, .. } => Self::Refused(error),
            OpenError::Transient { error, retry_after } => Self::Failed { error, retry_after },
            OpenError::Unsatisfiable { .. } => Self::Changed,
        }
    }
}

impl Fetcher {
    /// Asks a source for `span` and stores it.
    pub(crate) async fn fetch(
        &self,
        source: &Source,
        identity: &Identity,
        trusted: bool,
        segment: SegmentId,
        span: Span,
    ) -> FetchEnd {
        let known = trusted.then_some(identity);
        let asked = tokio::select! {
            biased;
            () = self.stop.cancelled() => return FetchEnd::Stopped,
            asked = if_range::ask(&self.web, source, known, span.next, Some(span.end)) => asked,
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(OpenError::Unsatisfiable { total: Some(end) }) if self.ends_at(end) => return FetchEnd::Done,
            Err(error) => return error.into(),
        };
        let (refused, opened) = (asked.is_refused(), asked.opened);
        let facts = &opened.facts;
        let agrees = match trusted {
            true => identity.is_held_by(&source.key, facts),
            false => identity.total == facts.size,
        };
        if !agrees {
            let (name, host) = (self.part_store.part.destination().name(), source.host());
            return tokio::select! {
                biased;
                () = self.stop.cancelled() => FetchEnd::Stopped,
                error = opened.no_file(name, &host, self.stall_timeout) => {
                    error.map_or(FetchEnd::Changed, FetchEnd::Refused)
                }
            };
        }
        self.named.learn(facts.sha256);
        match opened.body {
            Body::Whole(_) if refused => FetchEnd::Changed,
            Body::Whole(_) => FetchEnd::RangesRefused,
            Body::Part(_) => self.store(opened, segment, span.next, &source.host()).await,
        }
    }

    /// A file of unknown length ends where the server has no more of it.
    fn ends_at(&self, end: u64) -> bool {
        let mut map = self.part_store.map();
        let here = map.total().is_none() && map.contiguous_end() == end;
        if here {
            map.end_here();
            self.part_store.stats.set_total(map.total());
        }
        here
    }

    /// Stores the body of an answer from `start` on, as far as the segment reaches by then.
    pub(crate) async fn store(&self, opened: Opened, segment: SegmentId, start: u64, host: &str) -> FetchEnd {
        let body_end = opened.body.end();
        let content_type = response::text(opened.response.headers(), reqwest::header::CONTENT_TYPE).map(str::to_owned);
        let mut writer = Writer::new(self, segment, content_type, host, start);
        let mut response = opened.response;
        let is_framed = response.version() > Version::HTTP_11
            || response.headers().contains_key(reqwest::header::TRANSFER_ENCODING);
        loop {
            // What is stored counts, not what is collected: the segment has to cover the latter.
            let claimed_end = self.part_store.map().advance(segment, writer.stored());
            let end = match claimed_end {
                Some(end) => body_end.map_or(end, |body_end| end.min(body_end)),
                None => return writer.leave(FetchEnd::Done).await,
            };
            if writer.position() >= end && end != u64::MAX {
                let beyond = writer.beyond();
                let left = writer.leave(FetchEnd::Done).await;
                if body_end.is_none_or(|body_end| body_end == end) && matches!(left, FetchEnd::Done) {
                    return self.read_out(response, host, end, beyond, body_end.is_some()).await;
                }
                return left;
            }
            let read = tokio::select! {
               biased;
                () = self.stop.cancelled() => return writer.leave(FetchEnd::Stopped).await,
                read = tokio::time::timeout(self.stall_timeout, response.chunk()) => read,
            };
            let frame = match read {
                Ok(Ok(Some(frame))) => frame,
                Ok(Ok(None)) => return writer.ended(body_end, is_framed).await,
                Ok(Err(error)) => return writer.leave(classify::of_network(&error, host.to_owned()).into()).await,
                Err(_) => return writer.leave(self.stalled(host)).await,
            };
            self.intake.set_busy(true);
            self.hold_back(frame.len()).await;
            if let Err(end_of_it) = writer.take(frame, end).await {
                return end_of_it;
            }
            self.intake.set_busy(false);
        }
    }

    /// Waits until both limits permit so many bytes. That wait is ours.
    async fn hold_back(&self, bytes: usize) {
        self.part_store.stats.hold();
        for limit in &self.limits {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = limit.take(bytes) => {}
            }
        }
        self.part_store.stats.let_go();
    }

    /// Reading a body to its very end gives the connection back for the next request, and shows whether it really is the
    /// end. Where the answer did not say so, more bytes mean that the file is another one than was asked for.
    async fn read_out(&self, mut response: Response, host: &str, end: u64, beyond: u64, end_is_said: bool) -> FetchEnd {
        let more = tokio::select! {
            biased;
            () = self.stop.cancelled() => beyond,
            read = tokio::time::timeout(self.stall_timeout, response.chunk()) => match read {
                Ok(Ok(Some(frame))) => beyond + frame.len() as u64,
                _ => beyond,
            },
        };
        match (more, end_is_said) {
            (0, _) => FetchEnd::Done,
            (_, true) => bad_answer(host, "it is longer than it says"),
            (more, false) => {
                FetchEnd::Refused(TransferError::SizeMismatch { host: host.into(), expected: end, actual: end + more })
            }
        }
    }

    fn stalled(&self, host: &str) -> FetchEnd {
        let error = TransferError::Stalled { host: host.to_owned(), idle: self.stall_timeout };
        FetchEnd::Failed { error, retry_after: None }
    }
}

pub(crate) fn bad_answer(host: &str, problem: &str) -> FetchEnd {
    let error = TransferError::BadAnswer { host: host.to_owned(), problem: problem.to_owned() };
    FetchEnd::Failed { error, retry_after: None }
}
