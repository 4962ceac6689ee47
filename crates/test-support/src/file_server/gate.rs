//! Holds the server at a known byte until the test says go, so that a test can pause, cancel or kill right there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A closed gate in the stream of body bytes. Made by [`super::Route::hold_at`] and [`super::FileServer::hold_after_total`].
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    place: Place,
    reached: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

enum Place {
    /// This byte of the file is not delivered.
    Offset(u64),
    /// So many more bytes are delivered, whichever they are.
    Budget(AtomicU64),
}

impl Gate {
    pub(super) fn at_offset(offset: u64) -> Gate {
        Gate::new(Place::Offset(offset))
    }

    pub(super) fn after_total(bytes: u64) -> Gate {
        Gate::new(Place::Budget(AtomicU64::new(bytes)))
    }

    fn new(place: Place) -> Gate {
        Gate(Arc::new(Inner { place, reached: watch::Sender::new(false), open: watch::Sender::new(false) }))
    }

    /// Returns once an answer is held here; panics after half a minute.
    pub async fn reached(&self) {
        let mut reached = self.0.reached.subscribe();
        let wait = reached.wait_for(|reached| *reached);
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .expect("no answer came to the gate within 30 s")
            .expect("the gate keeps its own sender");
    }

    /// Lets everything through, now and from now on.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// How many of the `wanted` bytes from `offset` on may pass. 0 means: wait for [`Gate::opened`].
    pub(super) fn admit(&self, offset: u64, wanted: u64) -> u64 {
        if *self.0.open.borrow() {
            return wanted;
        }
        let admitted = match &self.0.place {
            Place::Offset(held) if offset <= *held => wanted.min(held - offset),
            Place::Offset(_) => wanted,
            Place::Budget(left) => {
                let before =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(wanted)));
                before.unwrap_or_default().min(wanted)
            }
        };
        if admitted == 0 {
            self.0.reached.send_replace(true);
        }
        admitted
    }

    pub(super) async fn opened(&self) {
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}
