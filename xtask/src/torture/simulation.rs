//! Ordeal: the engine's own simulation, with more seeds than a test run plays. What it simulates stands in the downloader.

use anyhow::{Context, Result};

use super::{Options, Outcome, Subject, Tally};

/// Begins the line with which the simulation says what it has played.
const COUNT: &str = "simulated: ";

pub(super) fn run(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    let mut command = subject.workspace.cargo(&["test", "--release", "--locked", "--package", "downloader", "--lib"]);
    command.args(["--", "--nocapture", "simulation::seeds::whatever_happens"]);
    command.env("SIMULATION_SEEDS", options.simulations.to_string());
    command.env("SIMULATION_FIRST", options.seed.to_string());
    let ended = command.output().context("cargo could not be started")?;
    let told = String::from_utf8_lossy(&ended.stdout);
    let mut tally = Tally { runs: options.simulations, ..Tally::default() };
    match told.lines().find_map(|line| Some(line.split_once(COUNT)?.1)) {
        Some(count) if ended.status.success() => tally.note = count.to_owned(),
        _ => tally.broken.push(format!("{told}{}", String::from_utf8_lossy(&ended.stderr))),
    }
    Ok(Outcome::Done(tally))
}
