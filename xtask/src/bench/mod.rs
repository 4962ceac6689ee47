//! `cargo xtask bench`: our downloader beside its peers, in turns, on this machine. Owns the list of benchmarks; knows no crate of
//! the workspace, only the programs that cargo builds.

mod contenders;
pub(crate) mod download;
pub(crate) mod material;
mod measure;
mod peers;
mod rows;
pub(crate) mod servers;
mod table;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Benchmark {
    /// Fetch from local servers with ours, curl, aria2c and huggingface_hub, and print their medians beside the targets.
    ///
    /// Builds the release programs, installs missing peers (apt as root, pip into a folder under target/), and takes about
    /// 25 minutes.
    Download(download::Options),
}

/// Runs one of them.
pub(crate) fn start(workspace: &Workspace, benchmark: &Benchmark) -> Result<()> {
    match benchmark {
        Benchmark::Download(options) => download::download(workspace, options),
    }
}
