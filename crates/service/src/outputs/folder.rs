//! Where ComfyUI's output folder is, if it is on this machine.

use std::path::{Path, PathBuf};

use comfy_client::{FolderPaths, SystemStats};
use url::Host;

use super::Outputs;
use crate::{Error, model_dir::ModelDir, tasks::blocking};

impl Outputs {
    /// The folder; `None` where ComfyUI runs on another machine or in a file system of its own.
    pub(super) async fn folder(&self) -> Result<Option<ModelDir>, Error> {
        if !self.is_here() {
            return Ok(None);
        }
        let stats = self.comfy.client.system_stats().await?;
        let paths = self.comfy.client.folder_paths().await?.unwrap_or_default();
        let Some(folder) = output_folder(&stats, &paths) else { return Ok(None) };
        // The same confinement as for models: no name leads out of it.
        blocking(move || folder.is_dir().then(|| ModelDir::open(&folder).ok()).flatten()).await
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

/// As it was started with, else beside the folders that it reads checkpoints from: the last of those is its own output.
fn output_folder(stats: &SystemStats, paths: &FolderPaths) -> Option<PathBuf> {
    let option = |name: &str| {
        let mut words = stats.argv.iter().skip_while(|word| *word != name);
        words.nth(1).map(PathBuf::from).filter(|path| path.is_absolute())
    };
    let of_checkpoints = || {
        let last = paths.get("checkpoints")?.last()?;
        let folder = last.parent()?;
        (folder.is_absolute() && folder.parent().is_some() && last.ends_with("output/checkpoints"))
            .then(|| folder.to_path_buf())
    };
    option("--output-directory")
        .or_else(|| option("--base-directory").map(|base| base.join("output")))
        .or_else(of_checkpoints)
        .filter(|folder| folder != Path::new("/"))
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
        assert_eq!(found(&["main.py", "--base-directory", "/big"], &usual).as_deref(), Some("/big/output"));
        assert_eq!(found(&["main.py"], &paths(&["/comfyui/models/checkpoints"])), None);
        assert_eq!(found(&["main.py", "--output-directory", "/"], &paths(&[])), None);
    }
}
