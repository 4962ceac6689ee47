//! `cargo xtask torture`: ends, starves and lies to the release program at every place it can, and counts what it lost. Owns the list
//! of ordeals; knows no crate of the workspace, only the programs that cargo builds.

mod bad_network;
mod disk_full;
mod random_kills;
mod sent_twice;
mod simulation;
mod strace;
mod subject;
mod sweeps;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use subject::Subject;

/// What of it is run, and how much.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the ordeals whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How many times the engine is killed at a random moment; the product a quarter as often.
    #[arg(long, default_value_t = 200)]
    random_kills: usize,
    /// How many seeds the simulation plays.
    #[arg(long, default_value_t = 20_000)]
    simulations: usize,
    /// Seed of the random moments, and the first one of the simulation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail each single call in the sweeps. Without it the later calls are thinned out: 1 to 16, then every eighth part on.
    #[arg(long)]
    every: bool,
}

impl Options {
    /// All of it, with no call left out.
    pub(crate) fn every_call(simulations: usize, seed: u64) -> Self {
        Self { only: None, random_kills: 200, simulations, seed, every: true }
    }
}

/// What an ordeal found.
enum Outcome {
    Done(Tally),
    /// The machine lacks what it needs: what, and why.
    Skipped(String),
}

/// Counts of one ordeal.
#[derive(Default)]
struct Tally {
    runs: usize,
    /// In words: what the runs were.
    note: String,
    /// One sentence for each promise that was broken.
    broken: Vec<String>,
}

impl Tally {
    /// Counts a run; an error of it is a broken promise, with the place where it happened.
    fn count(&mut self, place: &str, result: Result<()>) {
        self.runs += 1;
        if let Err(error) = result {
            self.broken.push(format!("{place}: {error:#}"));
        }
    }
}

type Ordeal = fn(&Subject<'_>, &Options) -> Result<Outcome>;

const ORDEALS: [(&str, Ordeal); 8] = [
    ("simulation", simulation::run),
    ("kill at the n-th call", sweeps::kill),
    ("kill at a random moment", random_kills::engine),
    ("kill the product at a random moment", random_kills::product),
    ("no room at the n-th call", sweeps::no_room),
    ("no room on a small disk", disk_full::run),
    ("sync fails at the n-th call", sweeps::failed_sync),
    ("a bad network", bad_network::run),
];

/// Runs every ordeal and prints its counts; fails if any promise was broken.
pub(crate) fn torture(workspace: &Workspace, options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
    if !ORDEALS.iter().any(|(name, _)| wanted(name)) {
        bail!("--only names none of: {}", ORDEALS.map(|(name, _)| name).join(", "));
    }
    let subject = Subject::build(workspace)?;
    let mut broken = 0;
    for (name, ordeal) in ORDEALS {
        if !wanted(name) {
            continue;
        }
        match ordeal(&subject, options)? {
            Outcome::Skipped(reason) => println!("{name}: SKIPPED, {reason}"),
            // Where the program or the trace has changed its form, no call is found: that is no proof of anything.
            Outcome::Done(tally) if tally.runs == 0 => {
                println!("{name}: no run at all");
                broken += 1;
            }
            Outcome::Done(tally) => {
                println!("{name}: {} runs, {} broken promises; {}", tally.runs, tally.broken.len(), tally.note);
                for sentence in &tally.broken {
                    println!("    {sentence}");
                }
                broken += tally.broken.len();
            }
        }
    }
    if broken > 0 {
        bail!("{broken} promises were broken");
    }
    Ok(())
}
