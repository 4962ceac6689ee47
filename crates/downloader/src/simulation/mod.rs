//! The whole engine in a world that follows from one number: disk, network, threads, clock and chance are simulated, so a
//! run of hours takes milliseconds, is killed or loses its power at any operation, and can be repeated line by line.
//!
//! `universe` plays a seed; `plan` is what it asks for, `weather` and `troubles` what goes wrong, and `promises` and
//! `kept` what must hold; `scenes` are moments that a seed comes to seldom or never. Sizes are [`SCALE`](crate::blocks::SCALE) times smaller than in the product.
//!
//! `SIMULATION_SEEDS=100000` plays more seeds than a test run does (`cargo xtask torture --only simulation` as well, built for
//! speed), `SIMULATION_FIRST=…` from another one on; a seed that is played alone shows the whole story of its failure.

mod chance;
mod delays;
mod disk;
mod internet;
mod kept;
mod page;
mod plan;
mod promises;
mod scenes;
mod seeds;
mod storage;
mod tally;
mod trace;
mod troubles;
mod universe;
mod weather;

pub(crate) use delays::Delays;
pub(crate) use internet::Internet;
