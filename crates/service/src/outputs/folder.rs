//! Where ComfyUI's output folder is, if it is on this machine.

use std::{
    path::{Path, PathBuf},
    sync::{MutexGuard, PoisonError},
};

use comfy_client::{FolderPaths, SystemStats};
use tokio_util::sync::CancellationToken;
use url::Host;

use super::{Outputs, Said};
use crate::{Error, model_dir::ModelDir, system::ServiceState, tasks::blocking};

impl Outputs {
    /// The folder; `None` where ComfyUI runs on another machine or in a file system of its own. While ComfyUI does not answer
    /// it is where ComfyUI last said, before a restart too.
    pub(super) async fn folder(&self) -> Result<Option<ModelDir>, Error> {
        if !self.is_here() {
            return Ok(None);
        }
        let place = match self.asked_for_folder().await {
            Ok(place) => {
                self.keep(&place).await;
                place
            }
            Err(cause) => Some(self.kept().await?.ok_or(cause)?),
        };
        let Some(place) = place else { return Ok(None) };
        // The same confinement as for models: no name leads out of it.
        blocking(move || place.is_dir().then(|| ModelDir::open(&place).ok()).flatten()).await
    }

    /// Asks for the folder whenever ComfyUI begins to answer, until the token is cancelled.
    pub(crate) async fn learn_folder(self, stop: CancellationToken) -> Result<(), Error> {
        let mut health = self.comfy.health.subscribe();
        loop {
            let answers = health.wait_for(|health| health.state == ServiceState::Running);
            if stop.run_until_cancelled(async { answers.await.is_ok() }).await != Some(true) {
                return Ok(());
            }
            if let Err(cause) = self.folder().await {
                tracing::debug!(error = %cause, "ComfyUI's output folder is not known");
            }
            let is_gone = health.wait_for(|health| health.state != ServiceState::Running);
            if stop.run_until_cancelled(async { is_gone.await.is_ok() }).await != Some(true) {
                return Ok(());
            }
        }
    }

    /// A failed write costs the outputs after a restart, not those that were asked for.
    async fn keep(&self, place: &Said) {
        if self.last_said().as_ref() == Some(place) {
            return;
        }
        let folder = place.as_deref().and_then(Path::to_str);
        match self.store.keep_output_folder(&self.address(), folder).await {
            Ok(()) => *self.last_said() = Some(place.clone()),
            Err(cause) => tracing::warn!(error = %cause, "ComfyUI's output folder not stored"),
        }
    }

    async fn kept(&self) -> Result<Said, Error> {
        let last_said = self.last_said().clone();
        match last_said {
            Some(place) => Ok(place),
            None => Ok(self.store.output_folder(&self.address()).await?.map(PathBuf::from)),
        }
    }

    fn last_said(&self) -> MutexGuard<'_, Option<Said>> {
        self.last_said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> String {
        comfy_client::without_credentials(self.comfy.client.base()).to_string()
    }

    async fn asked_for_folder(&self) -> Result<Option<PathBuf>, Error> {
        let stats = self.comfy.client.system_stats().await?;
        let paths = self.comfy.client.folder_paths().await?.unwrap_or_default();
        let said = output_folder(&stats, &paths);
        // In a file system of its own ComfyUI names a folder that is not here.
        blocking(move || said.filter(|folder| folder.is_dir())).await
    }

    fn is_here(&self) -> bool {
        match self.comfy.settings.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// As it was started with, else beside the folders that it reads checkpoints from: the last of those is its own output. A
/// relative path is relative to a folder that only ComfyUI knows, but the last of its checkpoints lies below it all the same.
fn output_folder(stats: &SystemStats, paths: &FolderPaths) -> Option<PathBuf> {
    let started_with = option(&stats.argv, "--output-directory");
    let base = option(&stats.argv, "--base-directory").map(|base| base.join("output"));
    let wanted = started_with.or(base);
    let name = match &wanted {
        Some(wanted) => wanted.file_name()?.to_owned(),
        None => "output".into(),
    };
    let of_checkpoints = || {
        let last = paths.get("checkpoints")?.last()?;
        let folder = last.parent()?;
        let is_it = last.file_name()? == "checkpoints" && folder.file_name()? == name && folder.is_absolute();
        is_it.then(|| folder.to_path_buf())
    };
    wanted.filter(|folder| folder.is_absolute()).or_else(of_checkpoints).filter(|folder| folder != Path::new("/"))
}

/// The value of `--name value` or `--name=value`; the last one counts.
fn option(argv: &[String], name: &str) -> Option<PathBuf> {
    let mut values = argv.iter().enumerate().filter_map(|(at, word)| match word.strip_prefix(name)? {
        "" => argv.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    });
    values.next_back().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(argv: &[&str]) -> SystemStats {
        SystemStats {
            comfyui_version: None,
            python_version: None,
            pytorch_version: None,
            os: None,
            ram_total: None,
            ram_free: None,
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            devices: Vec::new(),
        }
    }

    fn paths(checkpoints: &[&str]) -> FolderPaths {
        [("checkpoints".to_owned(), checkpoints.iter().map(PathBuf::from).collect())].into()
    }

    #[test]
    fn the_folder_is_the_one_that_comfyui_was_started_with_else_the_one_beside_its_models() {
        let usual = paths(&["/comfyui/models/checkpoints", "/comfyui/output/checkpoints"]);
        let found = |argv: &[&str], paths: &FolderPaths| {
            output_folder(&stats(argv), paths).map(|folder| folder.to_string_lossy().into_owned())
        };
        assert_eq!(found(&["main.py"], &usual).as_deref(), Some("/comfyui/output"));
        assert_eq!(found(&["main.py", "--output-directory", "/big/out"], &usual).as_deref(), Some("/big/out"));
        assert_eq!(found(&["main.py", "--output-directory=/big/out"], &usual).as_deref(), Some("/big/out"));
        let relative = paths(&["/comfyui/models/checkpoints", "/srv/pictures/checkpoints"]);
        assert_eq!(found(&["main.py", "--output-directory=../pictures"], &relative).as_deref(), Some("/srv/pictures"));
        assert_eq!(found(&["main.py", "--output-directory", "pictures"], &usual), None, "that is not below it");
        assert_eq!(found(&["main.py", "--base-directory", "/big"], &usual).as_deref(), Some("/big/output"));
        assert_eq!(found(&["main.py"], &paths(&["/comfyui/models/checkpoints"])), None);
        assert_eq!(found(&["main.py", "--output-directory", "/"], &paths(&[])), None);
    }
}
