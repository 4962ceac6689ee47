//! The one receiver of events on this side: it writes each message once and puts it into every listener's outbox.

use std::collections::HashMap;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use service::{Dashboard, access::Client, events::Event};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::message;
use super::outbox::Outbox;
use crate::error::{ApiError, ErrorCode};

/// Everybody who listens, and the word that the server is closing.
#[derive(Debug, Default)]
pub struct Hub {
    listeners: Mutex<HashMap<u64, Listener>>,
    most_of_one_client: usize,
    next_seat: AtomicU64,
    closing: CancellationToken,
}

/// One who listens.
#[derive(Debug)]
struct Listener {
    client: Client,
    outbox: Arc<Outbox>,
}

/// A place in the hub; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
    number: u64,
    /// What this listener has yet to read.
    pub(super) outbox: Arc<Outbox>,
}

impl Hub {
    /// A hub that passes on what happens from now on. Its task ends with `closing`, and so do all sessions.
    pub fn start(dashboard: &Dashboard, most_of_one_client: usize, closing: CancellationToken) -> Arc<Self> {
        let hub = Arc::new(Self { most_of_one_client, closing, ..Self::default() });
        tokio::spawn(pass_on(Arc::clone(&hub), dashboard.clone(), dashboard.bus.subscribe()));
        hub
    }

    /// Resolves when the server closes.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Takes a place, unless this client has as many as it may.
    pub(crate) fn join(self: &Arc<Self>, client: Client) -> Result<Seat, ApiError> {
        let mut listeners = self.lock();
        let held = listeners.values().filter(|listener| listener.client == client).count();
        if held >= self.most_of_one_client {
            let message =
                format!("This client has {held} sockets and followed logs open, as many as it may; close one of them");
            return Err(ApiError::new(ErrorCode::RateLimitExceeded, message).with("limit", held));
        }
        let number = self.next_seat.fetch_add(1, Ordering::Relaxed);
        let outbox = Arc::new(Outbox::default());
        listeners.insert(number, Listener { client, outbox: Arc::clone(&outbox) });
        Ok(Seat { hub: Arc::clone(self), number, outbox })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &Event, now: jiff::Timestamp) {
        let listeners = self.lock();
        if listeners.is_empty() {
            return;
        }
        if let Event::WorkflowPreview(preview) = event {
            let picture = message::of_preview(preview);
            listeners.values().for_each(|listener| listener.outbox.offer_picture(&picture));
            return;
        }
        let tick_of: Option<Arc<str>> = event.tick_of().map(Arc::from);
        for message in message::of_event(event, now).into_iter().map(Arc::new) {
            for listener in listeners.values() {
                listener.outbox.offer(event.channel(), &message, tick_of.as_ref());
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.lock().remove(&self.number);
        // Whoever waits for room in it waits in vain.
        self.outbox.lose();
    }
}

async fn pass_on(hub: Arc<Hub>, dashboard: Dashboard, mut events: Receiver<Event>) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = hub.closing() => return,
        };
        match event {
            Ok(event) => hub.tell(&event, dashboard.now()),
            // Outcomes are gone: whoever comes again is told how things stand.
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "the socket hub fell behind; its clients are sent away to come again");
                hub.lock().values().for_each(|listener| listener.outbox.lose());
            }
            Err(RecvError::Closed) => return,
        }
    }
}
