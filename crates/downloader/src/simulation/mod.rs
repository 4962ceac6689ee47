//! The whole engine in a world that follows from one number: disk, network, threads, clock and chance are simulated, so a
//! run of hours takes milliseconds, is killed or loses its power at any operation, and can be repeated line by line.
//!
//! `world` plays a seed; `plan` is what it asks for, `network_faults` and `disk_faults` what goes wrong, and `invariants` and
//! `kept` what must hold; `regressions` are moments that a seed comes to seldom or never. Sizes are
//! those of [`Geometry::SMALL`](crate::geometry::Geometry::SMALL).
//!
//! `SIMULATION_SEEDS=100000` plays more seeds than a test run does (`cargo xtask torture --only simulation` as well, built for
//! speed), `SIMULATION_FIRST=…` from another one on; a seed that is played alone shows the whole story of its failure.

mod chance;
mod delays;
mod disk;
mod disk_faults;
mod internet;
mod invariants;
mod kept;
mod network_faults;
mod page;
mod plan;
mod regressions;
mod seeds;
mod stats;
mod storage;
mod trace;
mod world;
