//! `health`: one question to the running server, for container health checks.

use std::process::ExitCode;

use super::{CliError, print, remote::Remote};
use crate::config::Settings;

/// 0 when the server answers, 1 when it does not.
pub(super) async fn run(settings: &Settings) -> Result<ExitCode, CliError> {
    let addresses = settings.listen.addresses();
    match Remote::find(&addresses).await {
        Some(remote) => {
            print::line(format_args!("alive at {}", remote.address()))?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let tried: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Err(CliError::Failed(format!("no server answers at {}", tried.join(" or "))))
        }
    }
}
