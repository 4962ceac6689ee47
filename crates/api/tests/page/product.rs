//! The binary as a process, in a workspace of its own. Knows its settings and its folders, nothing of its insides.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A running server; killed when dropped.
pub(crate) struct Product {
    process: Child,
    /// Kept, so that the product can always write.
    _output: BufReader<ChildStdout>,
    /// `http://127.0.0.1:PORT`
    address: String,
    workspace: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Product {
    /// Starts it on a free port, with these settings beside those that keep it on this machine.
    pub(crate) fn start(settings: Vec<(&'static str, String)>) -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let (process, output, address) = spawn(workspace.path(), "127.0.0.1:0", &settings);
        Self { process, _output: output, address, workspace, settings }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// After [`Product::kill`]: the same workspace at the same address.
    pub(crate) fn start_again(&mut self) {
        let listen = self.address.trim_start_matches("http://").to_owned();
        (self.process, self._output, self.address) = spawn(self.workspace.path(), &listen, &self.settings);
    }

    /// The content of a model file.
    pub(crate) fn read_model(&self, path: &str) -> Vec<u8> {
        fs::read(self.models_folder().join(path)).unwrap()
    }

    /// Every file below the models folder, parts and journals included.
    pub(crate) fn models(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.models_folder(), "", &mut found);
        found.sort();
        found
    }

    fn models_folder(&self) -> PathBuf {
        self.workspace.path().join("models")
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The release binary where the gate names one, else the one that cargo built for this test. Comes back when it serves, with
/// the address that it prints.
fn spawn(workspace: &Path, listen: &str, settings: &[(&str, String)]) -> (Child, BufReader<ChildStdout>, String) {
    let binary =
        std::env::var_os("COMFYUI_DASHBOARD_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_comfyui-dashboard").into());
    let mut process = Command::new(binary)
        .args(["serve", "--listen", listen])
        .env_clear()
        .env("WORKSPACE_DIR", workspace)
        .env("ALLOW_PRIVATE_SOURCES", "1")
        .env("REGISTRY_SYNC_INTERVAL", "0")
        .env("MIN_FREE_SPACE", "0")
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    assert!(address.starts_with("http://"), "the product does not serve; it printed {line:?}");
    (process, output, address)
}

fn collect(folder: &Path, below: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), found);
        } else {
            found.push(path);
        }
    }
}
