//! Medians, spread and ratios as Markdown.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result};

use super::download::Results;
use super::measure::Run;
use super::peers;
use super::rows::{Row, Target};

/// Day, machine, versions, and what the columns mean.
pub(super) fn head(rounds: usize) -> Result<String> {
    let day = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("date could not be started")?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(format!(
        "Measured {} on {cores} cores, medians of {rounds} alternating rounds (least to most), outputs removed and `sync` \
         between. {}.\n",
        String::from_utf8_lossy(&day.stdout).trim(),
        peers::versions()
    ))
}

/// The table of one row, and its targets below.
pub(super) fn rows(row: &Row, results: &[Results]) -> String {
    let mut text = format!(
        "\n**{}**\n\n| program | seconds | ours : it | processor seconds | anonymous memory, MiB |\n|---|---|---|---|---|\n",
        row.name
    );
    let ours = seconds(&results[0]);
    for result in results {
        let all = sorted(&result.runs, |run| run.seconds);
        let memory = result.runs.iter().map(|run| run.memory_kib).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "| {} | {:.2} ({:.2} to {:.2}) | {:.2} | {:.2} | {:.1} |",
            result.contender,
            seconds(result),
            all[0],
            all[all.len() - 1],
            ours / seconds(result),
            processor(result),
            memory as f64 / 1024.0
        );
    }
    text.push('\n');
    for target in &row.targets {
        let _ = writeln!(text, "- {}", judge(target, row, results));
    }
    text
}

fn judge(target: &Target, row: &Row, results: &[Results]) -> String {
    let ours = &results[0];
    let find = |name: &str| results.iter().find(|result| result.contender == name);
    let (what, is, limit, holds) = match target {
        Target::Time(name, limit) => {
            let ratio = seconds(ours) / find(name).map_or(f64::NAN, seconds);
            (format!("time, ours : {name}"), ratio, format!("at most {limit}"), ratio <= *limit)
        }
        Target::Faster(name, limit) => {
            let ratio = find(name).map_or(f64::NAN, seconds) / seconds(ours);
            (format!("time, {name} : ours"), ratio, format!("at least {limit}"), ratio >= *limit)
        }
        Target::Processor(names, limit) => {
            let others: f64 = names.iter().map(|name| find(name).map_or(f64::NAN, processor)).sum();
            let ratio = processor(ours) / others;
            (
                format!("processor time, ours : ({})", names.join(" + ")),
                ratio,
                format!("at most {limit}"),
                ratio <= *limit,
            )
        }
        Target::Pace(connections, limit) => {
            let pace = row.pace.map_or(f64::NAN, |pace| pace.bytes as f64 / (pace.rate * connections) as f64);
            let share = pace / seconds(ours);
            (format!("share of {connections} paced connections"), share, format!("at least {limit}"), share >= *limit)
        }
        Target::Memory(limit) => {
            let most = ours.runs.iter().map(|run| run.memory_kib).max().unwrap_or(0);
            let limit_mib = limit / 1024;
            ("anonymous memory, MiB".to_owned(), most as f64 / 1024.0, format!("below {limit_mib}"), most < *limit)
        }
    };
    format!("{} {what}: {is:.2} (target: {limit})", if holds { "met:" } else { "MISSED:" })
}

fn seconds(result: &Results) -> f64 {
    median(&result.runs, |run| run.seconds)
}

fn processor(result: &Results) -> f64 {
    median(&result.runs, |run| run.processor_seconds)
}

fn median(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    let all = sorted(runs, figure);
    let middle = all.len() / 2;
    if all.len() % 2 == 1 { all[middle] } else { (all[middle - 1] + all[middle]) / 2.0 }
}

fn sorted(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Vec<f64> {
    let mut all: Vec<f64> = runs.iter().map(figure).collect();
    all.sort_by(f64::total_cmp);
    all
}
