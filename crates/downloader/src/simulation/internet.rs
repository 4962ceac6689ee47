//! The network as the engine sees it: a request goes in, an answer comes out, with the faults that it is given. Pages and
//! their versions are in `page`.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, IF_RANGE, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::chance::Chance;
use super::network_faults::NetworkFaults;
use super::page::Page;
use super::trace::Trace;
use crate::TransferError;
use crate::http::classify::OpenError;
use crate::http::network::{Network, Sending};

#[derive(Debug)]
pub(crate) struct Internet {
    chance: Chance,
    trace: Arc<Trace>,
    network_faults: Mutex<NetworkFaults>,
    /// By URL without its query.
    pages: Mutex<BTreeMap<String, Page>>,
}

/// What of a page goes into a body, and how it arrives.
struct Sent {
    bytes: Bytes,
    rate: u64,
    end: End,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut(usize),
    Silent(usize),
    Short(usize),
    Long,
}

impl Network for Internet {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(self.respond(request))
    }
}

impl Internet {
    pub(crate) fn new(chance: Chance, trace: Arc<Trace>) -> Self {
        Self { chance, trace, network_faults: Mutex::new(NetworkFaults::fair()), pages: Mutex::default() }
    }

    pub(crate) fn turn(&self, network_faults: NetworkFaults) {
        *self.network_faults.lock().unwrap_or_else(PoisonError::into_inner) = network_faults;
    }

    pub(crate) fn publish(&self, url: &str, page: Page) {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned(), page);
    }

    pub(crate) fn page(&self, url: &str) -> Option<Page> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    /// Answers a request.
    async fn respond(&self, request: Request) -> Result<Response, OpenError> {
        let network_faults = self.network_faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tokio::time::sleep(self.chance.milliseconds(network_faults.delay.clone())).await;
        let url = request.url().clone();
        let asked = request.headers().get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or("all").to_owned();
        let line = |what: &str| self.trace.line(format!("{url} {asked}: {what}"));
        if self.chance.happens(network_faults.unreachable) {
            line("unreachable");
            let problem = "the simulation does not let it through".to_owned();
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(OpenError::transient(TransferError::Network { host, problem }));
        }
        if self.chance.happens(network_faults.stalled_head) {
            line("stall");
            std::future::pending::<()>().await;
        }
        if self.chance.happens(network_faults.busy) {
            line("busy");
            let retry_after = self.chance.happens(0.5).then(|| self.chance.number(1..5));
            return Ok(busy(&url, self.chance.one_of(&[429, 503]), retry_after));
        }
        let mut plain = url.clone();
        plain.set_query(None);
        let Some(page) = self.page(plain.as_str()) else {
            line("no such page");
            return Ok(head(&url, 404).body(Body::default()).expect("a response").into());
        };
        if page.signs_links && url.query().is_none() {
            line("redirect");
            let mut signed = url.clone();
            signed.set_query(Some(&format!("signed={}", self.chance.number(0..u64::MAX))));
            let answer = page.linked(head(&url, 302).header(LOCATION, signed.as_str()));
            return Ok(answer.body(Body::default()).expect("a response").into());
        }
        if url.query().is_some() && self.chance.happens(network_faults.expired) {
            line("expired");
            return Ok(head(&url, 403).body(Body::default()).expect("a response").into());
        }
        Ok(self.serve(&request, &url, &page, &network_faults))
    }

    /// 200, 206 or 416, told truly or not.
    fn serve(&self, request: &Request, url: &reqwest::Url, page: &Page, network_faults: &NetworkFaults) -> Response {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let total = page.content.len() as u64;
        let tag = page.tag(&self.chance);
        let fresh = text(IF_RANGE).is_none_or(|validator| tag.as_deref() == Some(validator));
        let range = text(RANGE).and_then(range_of).filter(|_| page.gives_ranges && fresh);
        let range = range.filter(|_| !self.chance.happens(network_faults.whole_for_part));
        let answer = |status| page.described(head(url, status), tag.as_deref());
        let (builder, bytes) = match range {
            Some((start, _)) if start >= total => {
                self.trace.line(format!("{url} from {start}: 416"));
                let builder = answer(416).header(CONTENT_RANGE, format!("bytes */{total}"));
                return builder.body(Body::default()).expect("a response").into();
            }
            Some((start, end)) => {
                let (start, end) = (start, end.min(total));
                let shift = u64::from(self.chance.happens(network_faults.wrong_range));
                let stated = format!("bytes {}-{}/{total}", start + shift, end - 1 + shift);
                let bytes = page.content.slice(start as usize..end as usize);
                (answer(206).header(CONTENT_RANGE, stated).header(CONTENT_LENGTH, end - start), bytes)
            }
            None if page.states_length => (answer(200).header(CONTENT_LENGTH, total), page.content.clone()),
            None => (answer(200), page.content.clone()),
        };
        let sent = self.spoil(bytes, page, network_faults, range.is_some() || page.states_length);
        let status = if range.is_some() { 206 } else { 200 };
        self.trace.line(format!("{url} {}: {status} {} bytes, {:?}", range_text(range), sent.bytes.len(), sent.end));
        builder.body(self.arrive(sent)).expect("a response").into()
    }

    fn spoil(&self, bytes: Bytes, page: &Page, network_faults: &NetworkFaults, length_stated: bool) -> Sent {
        let mut bytes = bytes;
        if page.hash_is_known && !bytes.is_empty() && self.chance.happens(network_faults.garbled) {
            let mut garbled = bytes.to_vec();
            garbled[self.chance.index(bytes.len())] ^= 1;
            bytes = garbled.into();
        }
        let within = || self.chance.index(bytes.len().max(1));
        let end = if self.chance.happens(network_faults.cut) {
            End::Cut(within())
        } else if self.chance.happens(network_faults.stalled_body) {
            End::Silent(within())
        } else if length_stated && self.chance.happens(network_faults.short) {
            End::Short(within())
        } else if length_stated && self.chance.happens(network_faults.long) {
            End::Long
        } else {
            End::Whole
        };
        Sent { bytes, rate: self.chance.number(network_faults.rate.clone()), end }
    }

    /// The bytes as they come, one frame at a time.
    fn arrive(&self, sent: Sent) -> Body {
        let (frames, body) = mpsc::channel::<io::Result<Bytes>>(1);
        let chance = self.chance.clone();
        tokio::spawn(async move {
            let length = match sent.end {
                End::Cut(at) | End::Silent(at) | End::Short(at) => at,
                End::Whole | End::Long => sent.bytes.len(),
            };
            let mut rest = sent.bytes.slice(..length);
            while !rest.is_empty() {
                let frame = rest.split_to(rest.len().min(1 + chance.index(8192)));
                tokio::time::sleep(Duration::from_secs_f64(frame.len() as f64 / sent.rate as f64)).await;
                if frames.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
            match sent.end {
                End::Cut(_) => drop(frames.send(Err(io::ErrorKind::ConnectionReset.into())).await),
                End::Silent(_) => frames.closed().await,
                End::Long => drop(frames.send(Ok(Bytes::from_static(b"more than was promised"))).await),
                End::Whole | End::Short(_) => {}
            }
        });
        Body::wrap_stream(ReceiverStream::new(body))
    }
}

fn head(url: &reqwest::Url, status: u16) -> http::response::Builder {
    http::Response::builder().url(url.clone()).status(status)
}

fn busy(url: &reqwest::Url, status: u16, retry_after: Option<u64>) -> Response {
    let builder = head(url, status);
    let builder = match retry_after {
        Some(seconds) => builder.header(RETRY_AFTER, seconds),
        None => builder,
    };
    builder.body(Body::default()).expect("a response").into()
}

/// First byte and the one after the last.
fn range_of(value: &str) -> Option<(u64, u64)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let end = if last.is_empty() { u64::MAX } else { last.parse::<u64>().ok()? + 1 };
    Some((first.parse().ok()?, end))
}

fn range_text(range: Option<(u64, u64)>) -> String {
    range.map_or_else(|| "all".to_owned(), |(start, end)| format!("{start}..{end}"))
}
