//! The one receiver of events on this side: it writes each message once and puts it into every listener's outbox.

use std::collections::HashMap;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use service::{Dashboard, events::Event};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::message;
use super::outbox::Outbox;

/// Everybody who listens, and the word that the server is closing.
#[derive(Debug, Default)]
pub struct Hub {
    outboxes: Mutex<HashMap<u64, Arc<Outbox>>>,
    next_seat: AtomicU64,
    closing: CancellationToken,
}

/// A place in the hub; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    hub: Arc<Hub>,
    number: u64,
    /// What this listener has yet to read.
    pub(super) outbox: Arc<Outbox>,
}

impl Hub {
    /// A hub that passes on what happens from now on. Its task ends with `closing`, and so do all sessions.
    pub fn start(dashboard: &Dashboard, closing: CancellationToken) -> Arc<Self> {
        let hub = Arc::new(Self { closing, ..Self::default() });
        tokio::spawn(pass_on(Arc::clone(&hub), dashboard.clone(), dashboard.bus.subscribe()));
        hub
    }

    /// Resolves when the server closes.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Takes a place.
    pub(super) fn join(self: &Arc<Self>) -> Seat {
        let number = self.next_seat.fetch_add(1, Ordering::Relaxed);
        let outbox = Arc::new(Outbox::default());
        self.lock().insert(number, Arc::clone(&outbox));
        Seat { hub: Arc::clone(self), number, outbox }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outbox>>> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &Event, now: jiff::Timestamp) {
        let outboxes = self.lock();
        if outboxes.is_empty() {
            return;
        }
        let tick_of: Option<Arc<str>> = event.tick_of().map(Arc::from);
        for message in message::of_event(event, now).into_iter().map(Arc::new) {
            for outbox in outboxes.values() {
                outbox.offer(event.channel(), &message, tick_of.as_ref());
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.lock().remove(&self.number);
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
                hub.lock().values().for_each(|outbox| outbox.lose());
            }
            Err(RecvError::Closed) => return,
        }
    }
}
