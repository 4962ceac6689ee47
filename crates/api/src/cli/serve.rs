//! `serve`: the server until it is told to stop.

use std::process::ExitCode;

use service::SystemClock;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, print};
use crate::application::{Application, ApplicationError};
use crate::config::Settings;
use crate::descriptors;
use crate::logging::LogOnDisk;
use crate::peer_owner::TRUST_IN_LOCALHOST;

/// Serves until SIGINT or SIGTERM. A second signal ends the process at once.
pub(super) async fn run(settings: &Settings, log: &LogOnDisk) -> Result<ExitCode, CliError> {
    descriptors::raise();
    let config = settings.config()?;
    if config.rules.allow_unauthenticated {
        tracing::warn!(
            "everybody who reaches this server is its admin until a password or a key exists: --allow-unauthenticated is set"
        );
    }
    let stop = stop_signal().map_err(ApplicationError::from)?;
    let application = Application::build(config, SystemClock).await?;
    let _kept = log.keep_in(&settings.storage.logs());
    for address in application.addresses() {
        let line = format!("comfyui-dashboard {} serves http://{address}", env!("CARGO_PKG_VERSION"));
        if let Err(unheard) = print::line(line) {
            tracing::warn!(error = %unheard, %address, "the address could not be printed");
        }
    }
    if let Some(password) = application.first_password() {
        show_first_password(password);
    }
    if !application.dashboard().access.requires_credentials().await? {
        tracing::info!("without a password or key {TRUST_IN_LOCALHOST}");
    }
    application.run(stop).await?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Shows the password, on stderr where stdout takes nothing: it is not to be had again.
fn show_first_password(password: &str) {
    let text = format!(
        "\nThere was no password, so one was made. It is shown this once:\n\n    {password}\n\n`comfyui-dashboard auth \
         set-password` sets another; ACCESS_PASSWORD comes before both.\n\n"
    );
    if print::raw(&text).is_err() {
        text.lines().for_each(print::complain);
    }
}

/// Resolves at the first signal; a second one ends the process where it stands.
pub(super) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("stopping; a second signal ends it at once");
        tokio::spawn(async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            std::process::exit(130);
        });
    })
}
