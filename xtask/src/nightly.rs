//! `cargo xtask nightly`: everything that takes hours, one after the other. Owns their order and the summary.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use crate::{fuzz, torture};

/// How long it takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds the simulation plays.
    #[arg(long, default_value_t = 100_000)]
    simulations: usize,
    /// How long each fuzz target is searched.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    fuzz_minutes: u64,
    /// First seed of the simulation and of the random kills; another one each night sees another night.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs all of it, also after a failure, and prints a line for each.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    type Task<'a> = &'a dyn Fn() -> Result<()>;
    let torture = || torture::torture(workspace, &torture::Options::every_call(options.simulations, options.seed));
    let fuzz = || fuzz::search(workspace, &fuzz::Options::all(options.fuzz_minutes));
    let tasks: [(&str, Task<'_>); 2] = [("torture", &torture), ("fuzz", &fuzz)];
    let mut lines = Vec::new();
    let mut failed = 0;
    for (name, task) in tasks {
        println!("\n== {name}");
        let start = Instant::now();
        let result = task();
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        let verdict = match &result {
            Ok(()) => "passed".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        failed += usize::from(result.is_err());
        lines.push(format!("{name:<8} {minutes:>6.1} min  {verdict}"));
    }
    println!("\n{}", lines.join("\n"));
    if failed > 0 {
        bail!("{failed} of {} failed", lines.len());
    }
    Ok(())
}
