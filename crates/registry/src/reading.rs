//! One entry of a registry document becomes a `Preset`, or a `Fault` that names the field.
//!
//! Holds the private mirror of an entry. Unknown keys are ignored; sizes are estimates and fail nothing.

use std::collections::HashMap;

use semver::Version;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::catalog::Fault;
use crate::confined_path::ConfinedPath;
use crate::preset::{License, ModelFile, Preset, PresetId, Vram, VramFrom};
use crate::stated;

#[derive(Deserialize)]
struct Entry {
    id: Option<String>,
    name: Option<String>,
    category: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    version: Option<Value>,
    description: Option<String>,
    use_case: Option<String>,
    download_size: Option<Value>,
    tags: Option<Vec<Value>>,
    requirements: Option<Requirements>,
    dependencies: Option<Vec<String>>,
    workflows: Option<Vec<String>>,
    files: Option<Vec<FileEntry>>,
    gated: Option<Value>,
    license: Option<Value>,
    family: Option<Value>,
}

#[derive(Deserialize)]
struct Requirements {
    vram_gb: Option<f64>,
}

#[derive(Deserialize)]
struct FileEntry {
    path: Option<String>,
    url: Option<String>,
    size: Option<Value>,
    size_bytes: Option<Value>,
    checksum: Option<String>,
}

/// What is wrong with which field; the preset is known to the caller.
struct Wrong {
    field: String,
    reason: String,
}

fn wrong(field: impl Into<String>, reason: impl ToString) -> Wrong {
    Wrong { field: field.into(), reason: reason.to_string() }
}

/// The preset that stands under `key`. A missing `type` is that of its category.
pub(crate) fn read_preset(key: &str, entry: &Value, categories: &[(String, Option<String>)]) -> Result<Preset, Fault> {
    let read = || {
        if !entry.is_object() {
            return Err(wrong("the entry", "must be an object of fields"));
        }
        let entry: Entry =
            serde_path_to_error::deserialize(entry).map_err(|error| wrong(error.path().to_string(), error.inner()))?;
        preset(key, entry, categories)
    };
    read().map_err(|Wrong { field, reason }| Fault { preset: key.to_owned(), field, reason })
}

fn preset(key: &str, entry: Entry, categories: &[(String, Option<String>)]) -> Result<Preset, Wrong> {
    let id = PresetId::parse(key).map_err(|error| wrong("id", error))?;
    if let Some(other) = entry.id.filter(|given| PresetId::parse(given).as_ref() != Ok(&id)) {
        return Err(wrong("id", format!("says {other:?}, but the preset stands under {key:?}")));
    }
    let category = required(entry.category, "category")?;
    let declared = categories.iter().find(|(name, _)| *name == category);
    let kind = entry.kind.or_else(|| declared.and_then(|(_, kind)| kind.clone()));
    let vram_gb = entry.requirements.and_then(|requirements| requirements.vram_gb);
    if vram_gb.is_some_and(|gb| !gb.is_finite() || gb < 0.0) {
        return Err(wrong("requirements.vram_gb", "must be a number of GB, 0 or more"));
    }
    let dependencies = dependencies(entry.dependencies.unwrap_or_default())?;
    let files = files(entry.files.unwrap_or_default())?;
    if files.is_empty() && dependencies.is_empty() {
        return Err(wrong("files", "is missing or empty, and there are no dependencies either"));
    }
    Ok(Preset {
        id,
        name: required(entry.name, "name")?,
        category,
        kind: required(kind, "type")?,
        version: version(entry.version.as_ref())?,
        description: entry.description.unwrap_or_default(),
        use_case: entry.use_case.unwrap_or_default(),
        tags: entry.tags.unwrap_or_default().iter().filter_map(stated::words).collect(),
        vram: vram_gb.filter(|gb| *gb > 0.0).map(|gb| Vram { gb, from: VramFrom::Registry }),
        gated: entry.gated.as_ref().and_then(Value::as_bool),
        license: entry.license.as_ref().and_then(license),
        family: entry.family.as_ref().and_then(stated::words).filter(|family| !family.trim().is_empty()),
        dependencies,
        workflows: entry.workflows.unwrap_or_default(),
        files,
        stated_size: stated_size(None, entry.download_size.as_ref()),
    })
}

/// A name, or an object of `name` and `url`. What cannot be read is not said; a URL that is no web address is left out.
fn license(given: &Value) -> Option<License> {
    let name = given.as_str().or_else(|| given.get("name")?.as_str()).filter(|name| !name.trim().is_empty())?;
    let url = given.get("url").and_then(Value::as_str).filter(|url| check_url(url).is_ok());
    Some(License { name: name.to_owned(), url: url.map(str::to_owned) })
}

fn required(text: Option<String>, field: &str) -> Result<String, Wrong> {
    text.filter(|text| !text.trim().is_empty()).ok_or_else(|| wrong(field, "is missing or empty"))
}

/// A missing version is 1.0.0, since the older format has none; `1.2` counts as `1.2.0`.
fn version(given: Option<&Value>) -> Result<Version, Wrong> {
    let Some(text) = given.and_then(stated::words) else {
        return Ok(Version::new(1, 0, 0));
    };
    let dots = text.matches('.').count();
    let padded = format!("{text}{}", ".0".repeat(2_usize.saturating_sub(dots)));
    Version::parse(&text)
        .or_else(|_| Version::parse(&padded))
        .map_err(|error| wrong("version", format!("{text:?} is no semantic version such as 1.2.0: {error}")))
}

fn dependencies(given: Vec<String>) -> Result<Vec<PresetId>, Wrong> {
    let parse =
        |(at, id): (usize, &String)| PresetId::parse(id).map_err(|error| wrong(format!("dependencies[{at}]"), error));
    given.iter().enumerate().map(parse).collect()
}

fn files(entries: Vec<FileEntry>) -> Result<Vec<ModelFile>, Wrong> {
    let mut files: Vec<ModelFile> = Vec::new();
    let mut seen: HashMap<ConfinedPath, String> = HashMap::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let file = model_file(at, entry)?;
        match seen.insert(file.path.clone(), file.url.clone()) {
            None => files.push(file),
            Some(url) if url == file.url => {}
            Some(_) => {
                let reason = format!("{} stands twice, with different URLs", file.path);
                return Err(wrong(format!("files[{at}].path"), reason));
            }
        }
    }
    Ok(files)
}

fn model_file(at: usize, entry: FileEntry) -> Result<ModelFile, Wrong> {
    let field = |name: &str| format!("files[{at}].{name}");
    let path = required(entry.path, &field("path"))?;
    let path = ConfinedPath::parse(&path).map_err(|error| wrong(field("path"), error))?;
    let url = required(entry.url, &field("url"))?;
    check_url(&url).map_err(|reason| wrong(field("url"), reason))?;
    let sha256 = entry.checksum.filter(|text| !text.is_empty()).map(|text| sha256(&text));
    let sha256 = sha256.transpose().map_err(|reason| wrong(field("checksum"), reason))?;
    let stated_size = stated_size(entry.size_bytes.as_ref(), entry.size.as_ref());
    Ok(ModelFile { path, url, stated_size, sha256 })
}

/// Accepts what an HTTP client may be sent to. Whether the address is a public one is for the downloader to judge.
/// The reason never repeats the URL, which may hold credentials.
fn check_url(text: &str) -> Result<(), &'static str> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("has a space or a control character; accepted is an http or https URL");
    }
    let Ok(url) = Url::parse(text) else { return Err("is no URL; accepted is an http or https URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return Err("has another scheme; accepted is an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has credentials, which everybody could read here; accepted is a URL without them");
    }
    Ok(())
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| format!("{text:?} must be sha256: and 64 hex digits"))?;
    Ok(bytes)
}

fn stated_size(bytes: Option<&Value>, words: Option<&Value>) -> Option<u64> {
    let as_bytes = |value: &Value| match value {
        Value::Number(number) => number.as_f64().and_then(stated::whole_bytes),
        Value::String(text) => stated::size_in_bytes(text),
        _ => None,
    };
    bytes.and_then(as_bytes).or_else(|| words.and_then(as_bytes))
}
