//! Which destinations the transfers of this engine are writing, so that the second on one waits for the first.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::Destination;

/// The destinations that are held.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    held: Mutex<HashSet<Destination>>,
    freed: Notify,
}

/// Frees its destination when it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    all: &'a Destinations,
    destination: Destination,
}

impl Destinations {
    /// Waits until nobody holds this destination, then holds it.
    pub(crate) async fn hold(&self, destination: &Destination) -> Held<'_> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Listen before looking: it may be freed in between.
            freed.as_mut().enable();
            if let Some(held) = self.try_hold(destination) {
                return held;
            }
            freed.await;
        }
    }

    /// Holds this destination, unless somebody does.
    pub(crate) fn try_hold(&self, destination: &Destination) -> Option<Held<'_>> {
        let free = self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(destination.clone());
        free.then(|| Held { all: self, destination: destination.clone() })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.destination);
        self.all.freed.notify_waiters();
    }
}
