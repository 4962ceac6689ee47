//! Development commands. Owns the list of them and its help; reads `cargo metadata` and runs cargo, and knows no crate of the
//! workspace.

mod bench;
mod ci;
mod dev;
mod fuzz;
mod model_index;
mod nightly;
mod openapi;
mod pickle_differential;
mod screenshot;
mod tidy;
mod torture;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use workspace::Workspace;

/// Work on comfyui-dashboard: `cargo xtask ci` is the one gate, the rest are its parts.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Before a push: cargo xtask ci. While writing: cargo test -p <crate>, cargo xtask tidy."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold: format, tidy, clippy, docs, tests, the release binary and its tests, the OpenAPI document.
    ///
    /// Stops at the first step that fails and prints the command that repeats it. On a Debian machine where it is root it
    /// first installs what the tests need (a browser, strace).
    Ci {
        /// Only this step: set-up, format, tidy, clippy, doc, test, release, product or openapi.
        #[arg(long, value_name = "STEP")]
        only: Option<String>,
    },
    /// Check the rules of the repository: layers, sizes, file heads, licences, migrations. Takes a second.
    Tidy,
    /// Write openapi/openapi.json as the product serves it.
    Openapi {
        /// Only compare, and fail if they differ.
        #[arg(long)]
        check: bool,
    },
    /// Run the product as it is being written, in a workspace under target/, the page straight from its source.
    Dev {
        /// Passed on to `comfyui-dashboard serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Take docs/screenshot.png of the real page with a browser.
    Screenshot,
    /// Measure the product beside its peers.
    Bench {
        #[command(subcommand)]
        benchmark: bench::Benchmark,
    },
    /// Kill, starve and fail the downloader at every place, and count what was lost. Takes minutes; skips by name what the
    /// machine does not allow.
    Torture(torture::Options),
    /// Search with libFuzzer for inputs that break a reader of untrusted bytes. `cargo test` replays what is kept of them.
    Fuzz(fuzz::Options),
    /// Torture with every call and many seeds, then every fuzz target. Takes hours.
    Nightly(nightly::Options),
    /// Compare the judge of pickles with CPython, torch, picklescan and fickling on a corpus that is made for it. Takes minutes, and
    /// installs Python packages under target/.
    PickleDifferential(pickle_differential::Options),
    /// Rewrite the index of the model files that ComfyUI's official templates note. Needs pip.
    ModelIndex(model_index::Options),
    /// Record new migrations in migrations/checksums.txt; recorded ones can no longer change.
    Migrations,
}

fn main() -> ExitCode {
    match start(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(task: Task) -> Result<()> {
    let workspace = Workspace::load()?;
    match task {
        Task::Ci { only } => ci::check(&workspace, only.as_deref()),
        Task::Tidy => tidy::check(&workspace),
        Task::Openapi { check: true } => openapi::check(&workspace, workspace.product()),
        Task::Openapi { check: false } => openapi::write(&workspace),
        Task::Dev { arguments } => dev::serve(&workspace, &arguments),
        Task::Screenshot => screenshot::take(&workspace),
        Task::Bench { benchmark } => bench::start(&workspace, &benchmark),
        Task::Torture(options) => torture::torture(&workspace, &options),
        Task::Fuzz(options) => fuzz::search(&workspace, &options),
        Task::Nightly(options) => nightly::run(&workspace, &options),
        Task::PickleDifferential(options) => pickle_differential::compare(&workspace, &options),
        Task::ModelIndex(options) => model_index::write(&workspace, &options),
        Task::Migrations => tidy::migrations::record(&workspace.root),
    }
}
