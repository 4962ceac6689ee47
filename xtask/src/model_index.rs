//! `cargo xtask model-index`: the model files that ComfyUI's official templates note, as the registry carries them. Owns which of
//! several addresses is taken and which names are too general to mean one file.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::workspace::{Workspace, run};

const PACKAGE: &str = "comfyui-workflow-templates-json";
const INDEX: &str = "crates/registry/data/template_models.json";
/// Names that many different files have.
const GENERAL: [&str; 4] =
    ["model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.bin", "model.fp16.safetensors"];

/// Which templates are read.
#[derive(Args)]
pub(crate) struct Options {
    /// The version of the package.
    #[arg(long, default_value = "0.1.123")]
    version: String,
}

/// Fetches the package with pip and rewrites the index.
pub(crate) fn write(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.metadata.target_directory.join("model-index");
    fs::create_dir_all(&folder).with_context(|| format!("{folder} cannot be made"))?;
    let wanted = format!("{PACKAGE}=={}", options.version);
    let python = || Command::new("python3");
    run(python()
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"])
        .arg(&folder)
        .arg(wanted))
    .context("pip is needed: python3 -m pip")?;
    let templates = folder.join("comfyui_workflow_templates_json/templates");
    let mut found = Found::default();
    for entry in fs::read_dir(&templates).with_context(|| format!("{templates} cannot be listed"))? {
        let text = fs::read_to_string(entry?.path())?;
        // Beside the templates there are lists of them.
        if let Ok(template @ Value::Object(_)) = serde_json::from_str(&text) {
            found.read(&template);
        }
    }
    if found.0.is_empty() {
        bail!("{PACKAGE} {} notes no model file; its format may have changed", options.version);
    }
    let files: Vec<String> = found.0.iter().map(|(place, noted)| noted.line(place)).collect();
    let source = json!(format!("{PACKAGE} {} (MIT)", options.version));
    let text = format!("{{\"source\": {source}, \"files\": [\n{}\n]}}\n", files.join(",\n"));
    fs::write(workspace.root.join(INDEX), text).with_context(|| format!("{INDEX} cannot be written"))?;
    println!("{INDEX} written, {} files", files.len());
    Ok(())
}

/// Notes by folder and name.
#[derive(Default)]
struct Found(BTreeMap<(String, String), Noted>);

/// What the templates say of one file.
#[derive(Default)]
struct Noted {
    /// How often each address is noted.
    urls: BTreeMap<String, usize>,
    sha256: Option<String>,
}

impl Found {
    fn read(&mut self, graph: &Value) {
        for node in list(graph, "/nodes") {
            for model in list(node, "/properties/models") {
                let text = |name: &str| model.get(name).and_then(Value::as_str);
                let (Some(folder), Some(name), Some(url)) = (text("directory"), text("name"), text("url")) else {
                    continue;
                };
                if name.contains('/') || GENERAL.contains(&name) {
                    continue;
                }
                let noted = self.0.entry((folder.to_owned(), name.to_owned())).or_default();
                // `?download=true` changes nothing.
                let url = url.split('?').next().unwrap_or(url).to_owned();
                *noted.urls.entry(url).or_default() += 1;
                noted.sha256 =
                    noted.sha256.take().or(text("hash").filter(|hash| hash.len() == 64).map(str::to_lowercase));
            }
        }
        list(graph, "/definitions/subgraphs").for_each(|inner| self.read(inner));
    }
}

impl Noted {
    fn line(&self, (folder, name): &(String, String)) -> String {
        let url = self.urls.iter().max_by_key(|(_, count)| **count).map(|(url, _)| url);
        json!({"folder": folder, "name": name, "url": url, "sha256": self.sha256}).to_string()
    }
}

fn list<'a>(of: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    of.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
