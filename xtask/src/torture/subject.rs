//! The programs that are tortured, the server they fetch from, and what must hold of the folder they leave.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::download::Remote;
use crate::bench::material::sha256;
use crate::bench::servers::FileServerProcess;
use crate::workspace::{Workspace, run};

/// The release programs and a folder under target/ to work in.
pub(super) struct Subject<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) fetch: PathBuf,
    pub(super) file_server: PathBuf,
    folder: PathBuf,
}

/// One program with one set of files on a running server, which it fetches again and again into a folder that is emptied between.
pub(super) struct Trial {
    pub(super) server: FileServerProcess,
    /// Where the files must lie in the end, and nothing else.
    pub(super) output: PathBuf,
    /// Everything that the program may change.
    home: PathBuf,
    folder: PathBuf,
    /// Program and arguments of one run.
    pub(super) words: Vec<String>,
}

impl<'a> Subject<'a> {
    /// Builds the engine's own program.
    pub(super) fn build(workspace: &'a Workspace) -> Result<Subject<'a>> {
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
        let (fetch, file_server) = (release.join("examples/fetch"), release.join("file-server"));
        Ok(Subject { workspace, fetch, file_server, folder })
    }

    /// The engine alone, with `count` files of `size` bytes at `rate` bytes a second and connection.
    pub(super) fn engine(&self, count: u64, size: u64, rate: u64, options: &[&str]) -> Result<Trial> {
        let server = self.server(count, size, rate)?;
        let (output, list) = (self.folder.join("output"), self.folder.join("list"));
        let lines: String =
            server.files.iter().map(|file| format!("{} {} {}\n", file.url, file.name, file.sha256)).collect();
        fs::write(&list, lines)?;
        let mut words = [&self.fetch, &output, &list].map(|path| path.display().to_string()).to_vec();
        words.extend(options.iter().map(|&option| option.to_owned()));
        Ok(Trial { server, home: output.clone(), output, folder: self.folder.clone(), words })
    }

    /// The product, installing a preset of such files from a server that stands in for Hugging Face. Builds it first.
    pub(super) fn product(&self, count: u64, size: u64, rate: u64) -> Result<Trial> {
        run(&mut self.workspace.cargo(&["build", "--release", "--locked", "--package", "api"]))?;
        let server = self.server(count, size, rate)?;
        let (home, registry) = (self.folder.join("product"), self.folder.join("registry.json"));
        fs::write(&registry, preset(&server.files).to_string())?;
        let endpoint = server.files[0].url.split("/local/").next().unwrap_or_default();
        let program = self.workspace.release_binary().display().to_string();
        let (workspace, registry) = (home.display().to_string(), registry.display().to_string());
        let words = [&program, "install", "TORTURE", "--min-free-space", "0", "--workspace-dir", &workspace];
        let words = words.into_iter().chain(["--preset-config-path", &registry, "--hf-endpoint", endpoint]);
        let words = words.map(str::to_owned).collect();
        Ok(Trial { server, output: home.join("models/loras"), home, folder: self.folder.clone(), words })
    }

    /// A scratch folder.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn server(&self, count: u64, size: u64, rate: u64) -> Result<FileServerProcess> {
        FileServerProcess::start(&self.file_server, &[count, size, rate].map(|number| number.to_string()))
    }
}

/// A registry of one preset with these files.
fn preset(files: &[Remote]) -> Value {
    let entry = |file: &Remote| {
        json!({
            "path": format!("loras/{}", file.name), "checksum": format!("sha256:{}", file.sha256),
            "url": format!("https://huggingface.co/local/files/resolve/main/{}", file.name),
        })
    };
    json!({
        "version": "1.0.0", "schema_version": "1.0", "categories": { "Image Generation": "image" },
        "presets": { "TORTURE": {
            "id": "TORTURE", "name": "Torture", "category": "Image Generation", "type": "image", "version": "1.0.0",
            "files": files.iter().map(entry).collect::<Vec<_>>(),
        } },
    })
}

impl Trial {
    /// An empty output folder.
    pub(super) fn fresh(&self) -> Result<()> {
        if self.home.exists() {
            fs::remove_dir_all(&self.home)?;
        }
        fs::create_dir_all(&self.output).with_context(|| format!("{} could not be made", self.output.display()))
    }

    /// One run that may be killed. Its output is thrown away.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
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

    /// Whether a file is under its final name.
    pub(super) fn is_finished(&self, file: usize) -> bool {
        self.output.join(&self.server.files[file].name).exists()
    }

    /// Bytes of all files.
    pub(super) fn total_bytes(&self) -> u64 {
        self.server.files.iter().map(|file| file.size).sum()
    }

    /// A scratch file beside the output.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} could not be read", folder.display()))? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
