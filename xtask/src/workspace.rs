//! Where the workspace lies and how cargo is called in it. Knows no command of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

/// The checked-out workspace that this command was started for.
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
    /// What `cargo metadata` says: members, dependencies, the lock file.
    pub(crate) metadata: Metadata,
}

impl Workspace {
    /// Reads the workspace that xtask itself belongs to, wherever the command is started from.
    pub(crate) fn load() -> Result<Self> {
        let own_manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(own_manifest)
            .other_options(vec!["--locked".to_owned()])
            .exec()
            .context("cargo metadata failed; if Cargo.lock is out of date, run `cargo check` once")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        Ok(Self { root, metadata })
    }

    /// The product's binary as `cargo build --release` leaves it.
    pub(crate) fn release_binary(&self) -> PathBuf {
        let name = format!("comfyui-dashboard{}", std::env::consts::EXE_SUFFIX);
        self.metadata.target_directory.join("release").join(name).into_std_path_buf()
    }

    /// The product as cargo builds it for development, ready for its arguments.
    pub(crate) fn product(&self) -> Command {
        self.cargo(&["run", "--quiet", "--locked", "--package", "api", "--"])
    }

    /// A cargo call in the root, with the same cargo that runs us.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }
}

/// Runs a command with its output on our terminal; anything but success is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}
