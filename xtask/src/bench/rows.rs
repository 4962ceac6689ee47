//! What is compared: each row, its contenders, its targets.

use super::contenders::{self, Contender};

/// Files that nginx serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// One file of 2 GiB.
    Single,
    /// 64 files of 32 MiB.
    Medium,
    /// 2,000 files of 100 KiB.
    Small,
}

impl Set {
    pub(super) const ALL: [Set; 3] = [Set::Single, Set::Medium, Set::Small];

    /// Folder, number of files, bytes of each.
    pub(super) fn shape(self) -> (&'static str, usize, u64) {
        match self {
            Set::Single => ("single", 1, 2 << 30),
            Set::Medium => ("medium", 64, 32 << 20),
            Set::Small => ("small", 2_000, 100 << 10),
        }
    }
}

/// A server with a token bucket for each connection instead of nginx.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) bytes: u64,
    pub(super) rate: u64,
    pub(super) round_trip_ms: u64,
}

impl Pace {
    pub(super) fn arguments(self) -> Vec<String> {
        [1, self.bytes, self.rate, self.round_trip_ms].map(|number| number.to_string()).to_vec()
    }
}

/// One comparison.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) set: Set,
    pub(super) pace: Option<Pace>,
    pub(super) contenders: Vec<Contender>,
    pub(super) targets: Vec<Target>,
}

/// A figure of ours, the first contender, that must not be missed.
pub(super) enum Target {
    /// Our time at most so many times this contender's.
    Time(&'static str, f64),
    /// This contender's time at least so many times ours.
    Faster(&'static str, f64),
    /// Our processor time at most so many times that of these together.
    Processor(&'static [&'static str], f64),
    /// At least this share of the sum of so many paced connections.
    Pace(u64, f64),
    /// Anonymous memory below so many KiB.
    Memory(u64),
}

const MEMORY: Target = Target::Memory(64 << 10);

/// Connections that each contender with more than one may use for a paced file.
pub(super) const CONNECTIONS: u64 = 8;

pub(super) fn all() -> Vec<Row> {
    vec![
        single(),
        many("64 files of 32 MiB", Set::Medium, 1.0),
        many("2,000 files of 100 KiB", Set::Small, 1.5),
        paced(0),
        paced(50),
    ]
}

fn single() -> Row {
    Row {
        name: "one file of 2 GiB",
        set: Set::Single,
        pace: None,
        contenders: contenders::single(),
        targets: vec![
            Target::Time("curl -o", 1.0),
            Target::Time("openssl dgst, cached", 1.6),
            Target::Faster("aria2c -x16, checksum", 3.5),
            Target::Processor(&["curl -o", "openssl dgst, cached"], 0.8),
            MEMORY,
        ],
    }
}

fn many(name: &'static str, set: Set, factor: f64) -> Row {
    let targets = vec![Target::Time("curl -Z --parallel-max 16", factor), MEMORY];
    Row { name, set, pace: None, contenders: contenders::many(), targets }
}

fn paced(round_trip_ms: u64) -> Row {
    let name = match round_trip_ms {
        0 => "2 GiB at 20 MB/s a connection",
        _ => "2 GiB at 20 MB/s a connection, 50 ms round trip",
    };
    Row {
        name,
        set: Set::Single,
        pace: Some(Pace { bytes: 2 << 30, rate: 20_000_000, round_trip_ms }),
        contenders: contenders::paced(),
        targets: vec![Target::Pace(CONNECTIONS, 0.95), MEMORY],
    }
}
