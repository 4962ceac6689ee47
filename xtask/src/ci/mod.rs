//! `cargo xtask ci`: the gate. Owns the order of the steps and their report; what a step checks stands elsewhere.

mod machine;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, run};

/// Names the product's binary for the tests that start it; without it they use the one that cargo built for them.
const PRODUCT_BINARY: &str = "COMFYUI_DASHBOARD_BIN";

/// One step: its name for `--only`, how to do the same by hand, what it does.
struct Step {
    name: &'static str,
    by_hand: &'static str,
    action: fn(&Workspace) -> Result<()>,
}

/// Cheap verdicts first. Clippy and doc share the check artefacts of the dependencies, the tests build them once in the dev
/// profile, and only the product itself is built for release: three builds of the dependencies, which is the least that
/// can be had.
const STEPS: &[Step] = &[
    Step { name: "set-up", by_hand: "cargo xtask ci --only set-up", action: |_| machine::set_up() },
    Step {
        name: "format",
        by_hand: "cargo fmt --all --check",
        action: |workspace| run(&mut workspace.cargo(&["fmt", "--all", "--check"])),
    },
    Step { name: "tidy", by_hand: "cargo xtask tidy", action: crate::tidy::check },
    Step {
        name: "clippy",
        by_hand: "cargo clippy --workspace --all-targets -- -D warnings",
        action: |workspace| {
            run(&mut workspace.cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        },
    },
    Step {
        name: "doc",
        by_hand: "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps",
        action: |workspace| {
            let arguments = ["doc", "--locked", "--workspace", "--no-deps"];
            run(workspace.cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings"))
        },
    },
    Step {
        name: "test",
        by_hand: "cargo test --workspace",
        action: |workspace| run(machine::strict(workspace, &mut workspace.cargo(&["test", "--locked", "--workspace"]))),
    },
    Step {
        name: "release",
        by_hand: "cargo build --release",
        action: |workspace| run(&mut workspace.cargo(&["build", "--locked", "--release", "--package", "api"])),
    },
    Step { name: "product", by_hand: "cargo xtask ci --only product", action: test_product },
    Step {
        name: "openapi",
        by_hand: "cargo xtask openapi --check",
        action: |workspace| crate::openapi::check(workspace, Command::new(workspace.release_binary())),
    },
];

/// Runs every step, or the one that is named, and stops at the first that fails.
pub(crate) fn check(workspace: &Workspace, only: Option<&str>) -> Result<()> {
    let steps: Vec<&Step> = STEPS.iter().filter(|step| only.is_none_or(|name| step.name == name)).collect();
    if steps.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("no step is called `{}`; there are {}", only.unwrap_or_default(), names.join(", "));
    }
    machine::forget_skipped(workspace)?;
    let mut times = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n== {}/{} {}: {}", index + 1, steps.len(), step.name, step.by_hand);
        let began = Instant::now();
        (step.action)(workspace)
            .with_context(|| format!("step `{}` failed; run it again with: {}", step.name, step.by_hand))?;
        times.push((step.name, began.elapsed()));
        println!("== {} passed in {:.1} s", step.name, began.elapsed().as_secs_f64());
    }
    report(&times, &machine::skipped(workspace));
    Ok(())
}

fn report(times: &[(&str, Duration)], skipped: &BTreeSet<String>) {
    println!("\nci passed:");
    for (name, time) in times {
        println!("  {name:<8} {:>7.1} s", time.as_secs_f64());
    }
    println!("  in all   {:>7.1} s", times.iter().map(|(_, time)| time.as_secs_f64()).sum::<f64>());
    for line in skipped {
        println!("  {line}");
    }
}

/// The tests that start the product as a process: every test target of `api` but `it`, which has none of those. They are the
/// same binaries that the step before built (so nothing is compiled again), now against the release binary.
fn test_product(workspace: &Workspace) -> Result<()> {
    let targets: Vec<&str> = workspace
        .metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.name == "api")
        .flat_map(|package| &package.targets)
        .filter(|target| target.is_test() && target.name != "it")
        .map(|target| target.name.as_str())
        .collect();
    if targets.is_empty() {
        bail!("no test target of `api` starts the product");
    }
    let mut arguments = vec!["test", "--locked", "--workspace"];
    arguments.extend(targets.iter().flat_map(|target| ["--test", target]));
    let mut tests = workspace.cargo(&arguments);
    run(machine::strict(workspace, tests.env(PRODUCT_BINARY, workspace.release_binary())))
}
