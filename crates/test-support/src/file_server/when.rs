//! When a rule applies. Each rule counts for itself, from the moment it was added, the requests to its route.

use super::request::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Says whether a request is one that a rule speaks about.
pub type Matcher = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// Which of the requests to a route a rule applies to.
#[derive(Clone)]
pub enum When {
    /// All of them.
    Always,
    /// The first so many.
    Times(usize),
    /// The n-th alone, counted from 1.
    Nth(usize),
    /// All but the first so many.
    After(usize),
    /// All that come after the route has sent so many body bytes, as a signed address that is used up.
    AfterBytes(u64),
    /// All until the switch is thrown.
    Until(Switch),
    /// Those that the matcher takes; the others are not counted either. Made by [`When::matching`].
    Matching(Matcher, Box<When>),
}

impl When {
    /// The same, but among the requests that `matcher` takes: `Times(1).matching(|request| request.range().is_some())`.
    #[must_use]
    pub fn matching(self, matcher: impl Fn(&Request) -> bool + Send + Sync + 'static) -> When {
        When::Matching(Arc::new(matcher), Box::new(self))
    }

    /// Whether the rule applies to this request; `seen` is the rule's own count and moves on.
    pub(super) fn applies(&self, request: &Request, seen: &AtomicUsize, route_bytes: u64) -> bool {
        if let When::Matching(matcher, inner) = self {
            return matcher(request) && inner.applies(request, seen, route_bytes);
        }
        let earlier = seen.fetch_add(1, Ordering::Relaxed);
        match self {
            When::Always => true,
            When::Times(count) => earlier < *count,
            When::Nth(number) => earlier + 1 == *number,
            When::After(count) => earlier >= *count,
            When::AfterBytes(bytes) => route_bytes >= *bytes,
            When::Until(switch) => !switch.thrown(),
            When::Matching(..) => unreachable!("handled above"),
        }
    }
}

/// Ends an [`When::Until`] when the test says so. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// A switch not yet thrown.
    #[must_use]
    pub fn new() -> Switch {
        Switch::default()
    }

    /// From now on the rule no longer applies.
    pub fn throw(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn thrown(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
