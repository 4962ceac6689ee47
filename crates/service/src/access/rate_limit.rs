//! How often somebody may ask. A client that was away gets its full number at once; then one more comes back every
//! `minute / number` (GCRA, from `governor`). Memory stays bounded however many addresses there are.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock as _,
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use jiff::Timestamp;

use super::{guesses::network_of, steady_clock::SteadyClock};
use crate::Clock;

/// How many clients are counted one by one, each in some 100 bytes.
const MOST_CLIENTS: usize = 16_384;
/// How many counters those share that came when all places were taken.
const CROWDS: u64 = 1024;
/// After how many questions the clients are dropped that have their full number again.
const SWEEP_EVERY: usize = 4096;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Client {
    /// Somebody with credentials, by the id of them.
    Known(String),
    /// Somebody without: an IPv4 address, or the /64 that an IPv6 address lies in, since whoever has one has them all.
    Address(IpAddr),
    /// Clients that came when too many were counted already, by lot.
    Crowd(u64),
}

impl Client {
    /// The client that an address is.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(network_of(address))
    }
}

/// Whether a request may go on, and what its client should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The full number.
    pub limit: u32,
    /// How many may follow at once.
    pub remaining: u32,
    /// When the client has its full number again.
    pub reset_at: Timestamp,
    /// `Some`: not now, but after this.
    pub retry_after: Option<Duration>,
}

/// The limits of requests.
pub struct RateLimits {
    anonymous: Limiter,
    known: Limiter,
}

impl RateLimits {
    /// Limits in requests a minute; 0 is none.
    pub(super) fn new(anonymous: u32, known: u32, clock: &Arc<dyn Clock>) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            anonymous: Limiter::new(anonymous, minute, Arc::clone(clock)),
            known: Limiter::new(known, minute, Arc::clone(clock)),
        }
    }

    /// Counts one request; `None` where there is no limit.
    pub fn check(&self, client: &Client) -> Option<Decision> {
        self.limiter_of(client).check(client)
    }

    /// How a client stands, without counting anything; `None` where there is no limit.
    pub fn look(&self, client: &Client) -> Option<Decision> {
        self.limiter_of(client).look(client)
    }

    fn limiter_of(&self, client: &Client) -> &Limiter {
        match client {
            Client::Known(_) => &self.known,
            Client::Address(_) | Client::Crowd(_) => &self.anonymous,
        }
    }
}

/// One limit for many clients.
pub(super) struct Limiter {
    limiter: Option<RateLimiter<Client, BoundedStates, SteadyClock, StateInformationMiddleware>>,
    states: BoundedStates,
    quota: u32,
    period: Duration,
    questions: AtomicUsize,
    clock: Arc<dyn Clock>,
}

impl Limiter {
    /// A full number of `quota`, which comes back within `period`.
    pub(super) fn new(quota: u32, period: Duration, clock: Arc<dyn Clock>) -> Self {
        let states = BoundedStates::default();
        let limiter = NonZeroU32::new(quota).and_then(|burst| {
            let refill = Quota::with_period(period / quota)?.allow_burst(burst);
            Some(RateLimiter::new(refill, states.clone(), SteadyClock::new(Arc::clone(&clock))))
        });
        Self { limiter, states, quota, period, questions: AtomicUsize::new(0), clock }
    }

    /// Counts one; `None` where there is no limit.
    pub(super) fn check(&self, client: &Client) -> Option<Decision> {
        let limiter = self.limiter.as_ref()?;
        if self.questions.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            limiter.retain_recent();
        }
        let (remaining, retry_after) = match limiter.check_key(client) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => (0, Some(not_until.wait_time_from(limiter.clock().now()))),
        };
        Some(self.decision(remaining, retry_after))
    }

    fn look(&self, client: &Client) -> Option<Decision> {
        let now = self.limiter.as_ref()?.clock().now();
        let full_again = self.states.full_again(client).unwrap_or(now);
        let missing = u128::from(full_again.saturating_sub(now).as_u64());
        let used = u32::try_from(missing.div_ceil(self.interval().as_nanos().max(1))).unwrap_or(u32::MAX);
        Some(self.decision(self.quota.saturating_sub(used), None))
    }

    fn decision(&self, remaining: u32, retry_after: Option<Duration>) -> Decision {
        let now = self.clock.now();
        let refill = self.interval() * self.quota.saturating_sub(remaining);
        Decision { limit: self.quota, remaining, reset_at: now.checked_add(refill).unwrap_or(now), retry_after }
    }

    /// After how long one more is allowed.
    fn interval(&self) -> Duration {
        self.period / self.quota.max(1)
    }
}

/// When the full number of each client is there again. All of it takes a few megabytes at most.
#[derive(Clone, Default)]
struct BoundedStates {
    states: Arc<Mutex<HashMap<Client, Nanos>>>,
    lots: RandomState,
}

impl BoundedStates {
    fn lock(&self) -> MutexGuard<'_, HashMap<Client, Nanos>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client itself while there is room for it, else the crowd that it belongs to.
    fn counted_as(&self, client: &Client, states: &HashMap<Client, Nanos>) -> Client {
        if states.len() < MOST_CLIENTS || states.contains_key(client) {
            client.clone()
        } else {
            Client::Crowd(self.lots.hash_one(client) % CROWDS)
        }
    }

    fn full_again(&self, client: &Client) -> Option<Nanos> {
        let states = self.lock();
        states.get(&self.counted_as(client, &states)).copied()
    }
}

impl StateStore for BoundedStates {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, client: &Client, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.lock();
        let client = self.counted_as(client, &states);
        let (outcome, next) = measure(states.get(&client).copied())?;
        states.insert(client, next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Client> for BoundedStates {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, full_again| *full_again > drop_below);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl governor::clock::Clock for SteadyClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.elapsed().into()
    }
}
