//! One stream of chance for everything that a run decides, so that its seed repeats it.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Cheap to clone; all clones draw from the same stream.
#[derive(Debug, Clone)]
pub(crate) struct Chance(Arc<Mutex<SmallRng>>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    pub(crate) fn number(&self, range: Range<u64>) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(range)
    }

    pub(crate) fn index(&self, count: usize) -> usize {
        self.number(0..count as u64) as usize
    }

    pub(crate) fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// True so often, from 0 to 1.
    pub(crate) fn happens(&self, probability: f64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_bool(probability)
    }

    pub(crate) fn milliseconds(&self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.number(range.start * 1000..range.end * 1000))
    }

    pub(crate) fn bytes(&self, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes.as_mut_slice());
        bytes
    }
}
