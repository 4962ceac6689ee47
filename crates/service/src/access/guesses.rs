//! The backoff of failed logins. Wrong passwords are counted by IPv4 address, by IPv6 /64 and by the /48 around it. Networks and
//! browsers that logged in before are counted separately, so that other clients' guesses cannot lock them out. Memory is bounded
//! regardless of the number of addresses.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::steady_clock::SteadyClock;
use crate::{Clock, Error};

/// Wrong passwords of an address, a /64 or a browser before it has to wait.
const FREE: u32 = 5;
/// Wrong passwords of a whole /48 before it has to wait: many households may share one.
const FREE_OF_SITE: u32 = 20;
/// The first wait; each further wrong password doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// A count is forgotten when nothing was tried for so long after its wait.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// How many guessers are counted one by one, each in some 100 bytes.
const MOST_GUESSERS: usize = 16_384;
/// How many counts those share that came when all places were taken.
const CROWDS: u64 = 1024;

/// Whose wrong passwords are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Guesser {
    /// A browser that logged in before, by the id in its cookie.
    Browser(String),
    /// An IPv4 address, or the first address of an IPv6 /64.
    Network(IpAddr),
    /// The first address of an IPv6 /48.
    Site(Ipv6Addr),
    /// Guessers that came when too many were counted already, by lot.
    Crowd(u64),
}

/// The wrong passwords of one guesser.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    wrong: u32,
    /// When the next one is judged.
    next_at: Duration,
}

/// The counts of many guessers.
pub(super) struct Guesses {
    counts: Mutex<HashMap<Guesser, Count>>,
    lots: RandomState,
    clock: SteadyClock,
}

impl Guesser {
    /// Who an address without a history is counted as.
    pub(super) fn strangers_at(address: IpAddr) -> Vec<Self> {
        let network = network_of(address);
        match network {
            IpAddr::V4(_) => vec![Self::Network(network)],
            IpAddr::V6(inside) => vec![Self::Network(network), Self::Site(masked(inside, 48))],
        }
    }

    fn free(&self) -> u32 {
        match self {
            Self::Site(_) => FREE_OF_SITE,
            Self::Browser(_) | Self::Network(_) | Self::Crowd(_) => FREE,
        }
    }
}

/// The network that counts as one client: an IPv4 address, or the first address of an IPv6 /64.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => masked(address, 64).into(),
    }
}

fn masked(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> bits))
}

impl Guesses {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { counts: Mutex::default(), lots: RandomState::new(), clock: SteadyClock::new(clock) }
    }

    /// Counts a password as wrong before it is judged, so that many tried at once count one by one. Refused while any of the
    /// guessers has to wait; then nothing is counted.
    pub(super) fn begin(&self, guessers: &[Guesser]) -> Result<(), Error> {
        let now = self.clock.elapsed();
        let mut counts = self.lock();
        make_room(&mut counts, now);
        let counted: Vec<Guesser> = guessers.iter().map(|guesser| self.counted_as(guesser, &counts)).collect();
        let wait = counted
            .iter()
            .filter_map(|guesser| counts.get(guesser))
            .map(|count| count.next_at.saturating_sub(now))
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            return Err(Error::RateLimited { retry_after: wait });
        }
        for guesser in counted {
            let free = guesser.free();
            let count = counts.entry(guesser).or_default();
            count.wrong = if is_forgotten(count, now) { 1 } else { count.wrong.saturating_add(1) };
            count.next_at = now + wait_after(count.wrong, free);
        }
        Ok(())
    }

    /// The password was right: nothing is held against the guessers any more.
    pub(super) fn forgive(&self, guessers: &[Guesser]) {
        let mut counts = self.lock();
        for guesser in guessers {
            let guesser = self.counted_as(guesser, &counts);
            counts.remove(&guesser);
        }
    }

    /// The password was not judged: it does not count.
    pub(super) fn take_back(&self, guessers: &[Guesser]) {
        let now = self.clock.elapsed();
        let mut counts = self.lock();
        for guesser in guessers {
            let guesser = self.counted_as(guesser, &counts);
            if let Some(count) = counts.get_mut(&guesser) {
                *count = Count { wrong: count.wrong.saturating_sub(1), next_at: now };
            }
        }
    }

    /// The guesser itself while there is room for it, else the crowd that it belongs to.
    fn counted_as(&self, guesser: &Guesser, counts: &HashMap<Guesser, Count>) -> Guesser {
        if counts.len() < MOST_GUESSERS || counts.contains_key(guesser) {
            guesser.clone()
        } else {
            Guesser::Crowd(self.lots.hash_one(guesser) % CROWDS)
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Guesser, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(counts: &mut HashMap<Guesser, Count>, now: Duration) {
    if counts.len() >= MOST_GUESSERS {
        counts.retain(|_, count| !is_forgotten(count, now));
    }
}

fn is_forgotten(count: &Count, now: Duration) -> bool {
    now.saturating_sub(count.next_at) >= FORGOTTEN_AFTER
}

/// How long the next password has to wait after so many wrong ones.
fn wait_after(wrong: u32, free: u32) -> Duration {
    match wrong.checked_sub(free) {
        None => Duration::ZERO,
        Some(beyond) => FIRST_WAIT.saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX)).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let waits: Vec<u64> = (1..=18).map(|wrong| wait_after(wrong, FREE).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
        assert_eq!(wait_after(u32::MAX, FREE), LONGEST_WAIT);
    }

    /// However many addresses guess, the table stays bounded and those without a place still wait.
    #[test]
    fn flood_of_guessers_stays_bounded_and_waits() {
        let clock = ManualClock::at(0);
        let guesses = Guesses::new(Arc::new(clock.clone()));
        let at = |number: u32| Guesser::strangers_at(IpAddr::from(number.to_be_bytes()));
        let judged = (0..100_000).filter(|number| guesses.begin(&at(*number)).is_ok()).count();
        assert!(guesses.lock().len() <= MOST_GUESSERS + CROWDS as usize);
        assert!(judged <= MOST_GUESSERS + CROWDS as usize * FREE as usize, "{judged}");
        clock.advance(2 * 3_600_000);
        assert!((200_000..201_000).all(|number| guesses.begin(&at(number)).is_ok()), "room comes back");
        assert!(guesses.lock().len() < 2000);
    }
}
