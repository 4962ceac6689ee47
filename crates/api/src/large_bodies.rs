//! How many bytes of large bodies are held at once, of everybody and of one caller. A body takes room as its bytes arrive and
//! gives it back when its request is answered, since the values that it became live as long. Small bodies are never counted.
//! What they took in memory is given back to the machine.

use std::collections::HashMap;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use actix_web::http::header;
use service::access::Client;

use crate::error::{ApiError, ErrorCode};

/// A body of more bytes is large: it is counted here and parsed off the async workers.
pub(crate) const LARGE_BODY_BYTES: usize = 64 << 10;

/// After so many bytes of large bodies freed memory is given back.
const TRIM_AFTER_BYTES: usize = 4 << 20;
/// After how many seconds a refused client may try again.
const RETRY_AFTER_SECONDS: u64 = 2;

/// How many bytes of large bodies are held.
#[derive(Debug, Clone, Copy)]
pub struct LargeBodyLimits {
    /// By all requests together.
    pub total_bytes: usize,
    /// By the requests of one caller.
    pub caller_bytes: usize,
}

impl Default for LargeBodyLimits {
    fn default() -> Self {
        Self { total_bytes: 64 << 20, caller_bytes: 16 << 20 }
    }
}

/// The bytes of large bodies that are held now.
#[derive(Debug)]
pub(crate) struct LargeBodies {
    limits: LargeBodyLimits,
    held: Mutex<HashMap<Client, usize>>,
    /// Bytes of bodies that ended since memory was last given back.
    ended_bytes: AtomicUsize,
}

/// Room for one body; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    bodies: Arc<LargeBodies>,
    caller: Client,
    bytes: usize,
}

impl LargeBodies {
    /// Nothing is held yet.
    pub(crate) fn new(limits: LargeBodyLimits) -> Arc<Self> {
        Arc::new(Self { limits, held: Mutex::default(), ended_bytes: AtomicUsize::new(0) })
    }

    /// Room for the body of a caller. It has no bytes yet.
    pub(crate) fn room(self: &Arc<Self>, caller: Client) -> BodyRoom {
        BodyRoom { bodies: Arc::clone(self), caller, bytes: 0 }
    }

    /// Gives memory back after some bytes of bodies: each time would cost more than it brings.
    fn note_end(&self, bytes: usize) {
        if self.ended_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes < TRIM_AFTER_BYTES {
            return;
        }
        self.ended_bytes.store(0, Ordering::Relaxed);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(give_memory_back);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyRoom {
    /// Makes room for a body that has this many bytes by now.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes <= LARGE_BODY_BYTES || bytes <= self.bytes {
            return Ok(());
        }
        let (limits, more) = (self.bodies.limits, bytes - self.bytes);
        let mut held = self.bodies.lock();
        let total: usize = held.values().sum();
        let of_caller = held.get(&self.caller).copied().unwrap_or_default();
        if of_caller + more > limits.caller_bytes {
            return Err(busy("This client has as many large requests under way as it may", limits.caller_bytes));
        }
        if total + more > limits.total_bytes {
            return Err(busy("The server has as many large requests under way as it holds", limits.total_bytes));
        }
        held.insert(self.caller.clone(), of_caller + more);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        self.bodies.note_end(self.bytes);
        let mut held = self.bodies.lock();
        let left = held.get(&self.caller).map_or(0, |bytes| bytes - self.bytes);
        match left {
            0 => held.remove(&self.caller),
            left => held.insert(self.caller.clone(), left),
        };
    }
}

/// The allocator keeps what was freed, in an arena of each thread: ten bodies of 10 MB left 126 MB behind.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the function takes a number, and has no safe wrapper")]
fn give_memory_back() {
    // SAFETY: `malloc_trim` may be called by any thread at any time, and frees nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back what was freed by themselves.
#[cfg(not(target_env = "gnu"))]
fn give_memory_back() {}

fn busy(message: &str, limit_bytes: usize) -> ApiError {
    ApiError::new(ErrorCode::ServerBusy, format!("{message}; try again in {RETRY_AFTER_SECONDS} s"))
        .with("limit_bytes", limit_bytes)
        .with("retry_after_seconds", RETRY_AFTER_SECONDS)
        .with_header(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn caller(last: u8) -> Client {
        Client::address(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn room_is_counted_by_caller_and_in_all_and_given_back() {
        let unit = 2 * LARGE_BODY_BYTES;
        let bodies = LargeBodies::new(LargeBodyLimits { total_bytes: 3 * unit, caller_bytes: 2 * unit });
        let (mut first, mut second, mut third) =
            (bodies.room(caller(1)), bodies.room(caller(1)), bodies.room(caller(2)));
        assert!(first.hold(unit / 2 + 1).is_ok() && first.hold(unit).is_ok() && second.hold(unit).is_ok());
        assert!(second.hold(unit + 1).is_err(), "this caller has all it may");
        assert!(third.hold(unit).is_ok() && third.hold(unit + 1).is_err(), "nobody has more");
        let mut small = bodies.room(caller(1));
        assert!(small.hold(LARGE_BODY_BYTES).is_ok(), "a small body is never refused");
        drop(first);
        assert!(third.hold(2 * unit).is_ok());
        drop((second, third, small));
        assert!(bodies.lock().is_empty(), "nothing is remembered of those that left");
    }
}
