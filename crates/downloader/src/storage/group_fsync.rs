//! One sync for all who wait for one: a caller that comes while a sync runs is served by the next, together with all who
//! came meanwhile. There is no timer, so nobody waits for company. It knows nothing of what is synced. Blocks.

use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

/// The syncs of one thing.
#[derive(Debug, Default)]
pub(crate) struct GroupFsync {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    runs: bool,
    /// The sync that has not begun, if somebody waits for it.
    next: Option<Arc<Round>>,
}

/// A sync, and those whom it serves.
#[derive(Debug, Default)]
struct Round {
    /// Woken when it is over, or, for one of them, when it is to be begun.
    moved: Condvar,
    result: OnceLock<Result<(), Failure>>,
}

/// An error that more than one can be given.
type Failure = Arc<io::Error>;

impl GroupFsync {
    /// Returns after a sync that began after this call, with its result. `sync` is called by one of those who wait.
    pub(crate) fn run(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let round = Arc::clone(state.next.get_or_insert_default());
        while state.runs {
            state = round.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            if let Some(result) = round.result.get() {
                return result.clone().map_err(of_failure);
            }
        }
        // Nothing runs, so this round has not begun: it is begun here, and closed for others.
        state.next = None;
        state.runs = true;
        drop(state);
        let running = Running { shared: self, round: &round };
        let result = sync().map_err(Arc::new);
        let _ = round.result.set(result.clone());
        drop(running);
        result.map_err(of_failure)
    }
}

/// A sync that runs. When it is over, also by a panic, all whom it served are told, and the next is begun.
struct Running<'a> {
    shared: &'a GroupFsync,
    round: &'a Round,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Nothing is set already only where it panicked.
        self.round.result.get_or_init(|| Err(Arc::new(io::Error::other("the sync died"))));
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.runs = false;
        let next = state.next.clone();
        drop(state);
        self.round.moved.notify_all();
        if let Some(next) = next {
            next.moved.notify_one();
        }
    }
}

fn of_failure(failure: Failure) -> io::Error {
    match failure.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(failure),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const EIO: i32 = 5;
    const WAITING: usize = 8;

    /// While a first sync runs, others come; `second` is then called by one of them. What each got.
    fn crowd(second: impl Fn() -> io::Result<()> + Sync) -> (io::Result<()>, Vec<io::Result<()>>) {
        let shared = GroupFsync::default();
        let (begun, wait_for_begin) = channel();
        let (end, wait_for_end) = channel();
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                shared.run(move || {
                    begun.send(()).expect("the test listens");
                    wait_for_end.recv().expect("the test says so");
                    Ok(())
                })
            });
            wait_for_begin.recv().expect("the first sync begins");
            let others: Vec<_> = (0..WAITING).map(|_| scope.spawn(|| shared.run(&second))).collect();
            let waiting = || shared.state.lock().expect("sound").next.as_ref().map_or(0, Arc::strong_count);
            while waiting() < 1 + WAITING {
                thread::yield_now();
            }
            end.send(()).expect("the first sync waits");
            let panicked = |_| Err(io::Error::other("a panic on order"));
            let result_of = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(panicked);
            let results = (result_of(first), others.into_iter().map(result_of).collect());
            assert!(shared.run(|| Ok(())).is_ok(), "whatever happened to others, a new sync is a new one");
            results
        })
    }

    #[test]
    fn whoever_comes_while_a_sync_runs_is_served_by_the_next_together_with_all_others() {
        let syncs = AtomicUsize::new(0);
        let (first, others) = crowd(|| {
            syncs.fetch_add(1, SeqCst);
            Ok(())
        });
        assert!(first.is_ok() && others.iter().all(Result::is_ok));
        assert_eq!(syncs.into_inner(), 1);
    }

    #[test]
    fn a_failed_sync_fails_for_all_whom_it_served_and_for_nobody_else() {
        let (first, others) = crowd(|| Err(io::Error::from_raw_os_error(EIO)));
        assert!(first.is_ok());
        for other in others {
            assert_eq!(other.expect_err("it was served by a sync that failed").raw_os_error(), Some(EIO));
        }
    }

    #[test]
    fn a_sync_that_panics_fails_for_all_whom_it_served() {
        let (first, others) = crowd(|| panic!("a panic on order"));
        assert!(first.is_ok());
        let words = others.into_iter().map(|other| other.expect_err("its sync panicked").to_string());
        let (panicked, told): (Vec<_>, Vec<_>) = words.partition(|words| words == "a panic on order");
        assert_eq!((panicked.len(), told.len()), (1, WAITING - 1), "{told:?}");
    }

    #[test]
    fn a_sync_after_another_is_a_sync_of_its_own() {
        let (shared, syncs) = (GroupFsync::default(), AtomicUsize::new(0));
        for _ in 0..3 {
            let sync = || {
                syncs.fetch_add(1, SeqCst);
                Ok(())
            };
            shared.run(sync).expect("it succeeds");
        }
        assert_eq!(syncs.into_inner(), 3);
    }
}
