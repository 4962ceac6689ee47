//! Keeps every request that came in, and wakes whoever waits for one.

use super::request::{Outcome, Request};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A wait in a test that lasts this long has gone wrong.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Recorder {
    requests: Mutex<Vec<Request>>,
    changed: watch::Sender<()>,
}

impl Recorder {
    pub(super) fn new() -> Recorder {
        Recorder { requests: Mutex::new(Vec::new()), changed: watch::Sender::new(()) }
    }

    /// Keeps the request that `make` builds from its number.
    pub(super) fn add(&self, make: impl FnOnce(usize) -> Option<Request>) -> Option<Request> {
        let mut requests = self.lock();
        let request = make(requests.len())?;
        requests.push(request.clone());
        drop(requests);
        self.changed.send_replace(());
        Some(request)
    }

    pub(super) fn answered(&self, number: usize, status: u16) {
        self.update(number, |request| request.status = Some(status));
    }

    pub(super) fn sent(&self, number: usize, bytes: u64) {
        self.update(number, |request| request.body_bytes_sent += bytes);
    }

    pub(super) fn ended(&self, number: usize, outcome: Outcome) {
        self.update(number, |request| request.outcome = outcome);
    }

    fn update(&self, number: usize, change: impl FnOnce(&mut Request)) {
        change(&mut self.lock()[number]);
        self.changed.send_replace(());
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&[Request]) -> T) -> T {
        read(&self.lock())
    }

    /// Returns as soon as `predicate` holds; panics with what was seen after half a minute.
    pub(super) async fn wait_for(&self, predicate: impl Fn(&[Request]) -> bool) {
        let mut changes = self.changed.subscribe();
        let wait = async {
            while !self.read(&predicate) {
                let _ = changes.changed().await;
            }
        };
        if tokio::time::timeout(TIMEOUT, wait).await.is_err() {
            panic!("waited {TIMEOUT:?} for requests that did not come; seen: {:#?}", self.read(<[Request]>::to_vec));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
