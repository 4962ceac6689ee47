//! `cargo xtask bench`: our downloader and our answers beside their peers, in turns, on this machine. Owns the list of benchmarks; knows no crate of
//! the workspace, only the programs that cargo builds.

mod api;
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
    /// Count the answers a second of the release program, of actix-web with nothing around it, and of FastAPI, and print ratios.
    ///
    /// Builds the release programs, installs `wrk`, `h2load` and FastAPI where they are missing, and takes about 5 minutes.
    Api(api::Options),
}

/// Runs one of them.
pub(crate) fn start(workspace: &Workspace, benchmark: &Benchmark) -> Result<()> {
    match benchmark {
        Benchmark::Download(options) => download::download(workspace, options),
        Benchmark::Api(options) => api::api(workspace, options),
    }
}
