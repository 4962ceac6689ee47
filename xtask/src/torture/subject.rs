//! The program that is tortured, the server it fetches from, and what must hold of the folder it leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::bench::material::sha256;
use crate::bench::servers::FileServerProcess;
use crate::workspace::{Workspace, run};

/// The release programs and a folder under target/ to work in.
pub(super) struct Subject {
    fetch: PathBuf,
    file_server: PathBuf,
    folder: PathBuf,
}

/// One set of files on a running server, fetched again and again into a folder that is emptied between.
pub(super) struct Trial<'a> {
    subject: &'a Subject,
    pub(super) server: FileServerProcess,
    pub(super) output: PathBuf,
    list: PathBuf,
    /// Extra arguments of the program.
    options: Vec<String>,
}

impl Subject {
    /// Builds the release programs.
    pub(super) fn build(workspace: &Workspace) -> Result<Subject> {
        run(&mut workspace.cargo(&[
            "build",
            "--release",
            "--locked",
            "--package",
            "downloader",
            "--example",
            "fetch",
        ]))?;
        run(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "test-support", "--bins"]))?;
        let target = workspace.metadata.target_directory.clone().into_std_path_buf();
        let folder = target.join("torture");
        fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
        let release = target.join("release");
        Ok(Subject { fetch: release.join("examples/fetch"), file_server: release.join("file-server"), folder })
    }

    /// Starts a server with `count` files of `size` bytes, at `rate` bytes a second and connection.
    pub(super) fn trial(&self, count: u64, size: u64, rate: u64, options: &[&str]) -> Result<Trial<'_>> {
        let arguments = [count, size, rate].map(|number| number.to_string());
        let server = FileServerProcess::start(&self.file_server, &arguments)?;
        let list = self.folder.join("list");
        let lines: String =
            server.files.iter().map(|file| format!("{} {} {}\n", file.url, file.name, file.sha256)).collect();
        fs::write(&list, lines)?;
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Ok(Trial { subject: self, server, output: self.folder.join("output"), list, options })
    }
}

impl Trial<'_> {
    /// An empty output folder.
    pub(super) fn fresh(&self) -> Result<()> {
        if self.output.exists() {
            fs::remove_dir_all(&self.output)?;
        }
        fs::create_dir_all(&self.output).with_context(|| format!("{} could not be made", self.output.display()))
    }

    /// Program and arguments of one run.
    pub(super) fn words(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let mut words = vec![path(&self.subject.fetch), path(&self.output), path(&self.list)];
        words.extend(self.options.iter().cloned());
        words
    }

    /// One run that may be killed. Its output is thrown away.
    pub(super) fn command(&self) -> Command {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs once more without any fault: everything must end whole, with nothing beside it.
    pub(super) fn recovers(&self) -> Result<()> {
        let output = self.command().stderr(Stdio::piped()).output()?;
        if !output.status.success() {
            bail!("the next run ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        let expected: BTreeSet<String> = self.server.files.iter().map(|file| file.name.clone()).collect();
        let found = names_in(&self.output)?;
        if found != expected {
            bail!("the folder holds {found:?}, not {expected:?}");
        }
        self.nothing_wrong()
    }

    /// What lies under a final name is whole, at any time.
    pub(super) fn nothing_wrong(&self) -> Result<()> {
        for file in &self.server.files {
            let path = self.output.join(&file.name);
            if path.exists() && sha256(&path)? != file.sha256 {
                bail!("{} lies under its final name with wrong bytes", file.name);
            }
        }
        Ok(())
    }

    /// How many files are not under their final name yet.
    pub(super) fn unfinished(&self) -> u64 {
        self.server.files.iter().filter(|file| !self.output.join(&file.name).exists()).count() as u64
    }

    /// Bytes of all files.
    pub(super) fn total_bytes(&self) -> u64 {
        self.server.files.iter().map(|file| file.size).sum()
    }

    /// A scratch file beside the output.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.subject.folder.join(name)
    }
}

fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} could not be read", folder.display()))? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
