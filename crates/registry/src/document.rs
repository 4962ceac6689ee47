//! A registry document of any of its three formats, from text to catalogue.
//!
//! 1. One JSON object with whole presets.
//! 2. An index: presets point with `path` at files of their own.
//! 3. The older YAML, which keeps its version under `metadata`.
//!
//! Which one it is shows in the content, preset by preset.
//! Must not read files or talk to servers: whoever does (`local`, `client`) brings the texts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::catalog::{Catalog, Fault, Head};
use crate::confined_path::ConfinedPath;
use crate::embedded::embedded;
use crate::error::RegistryError;
use crate::parsing::parse_value;
use crate::preset::{Preset, PresetId, Vram, VramFrom};
use crate::reading;
use crate::stated;

/// A well-formed registry document, perhaps with presets that still lie in other files.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    origin: String,
    /// Everything but the presets.
    root: Map<String, Value>,
    presets: Map<String, Value>,
    /// Presets whose own file could not be had, by key.
    unreadable: HashMap<String, Fault>,
}

/// A preset of an index, and the file beside the index that describes it.
#[derive(Clone, Debug)]
pub(crate) struct PresetFile {
    pub(crate) preset: String,
    pub(crate) path: ConfinedPath,
}

impl Document {
    /// The document that `text` holds, in JSON or YAML; `origin` names the file or address in errors.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self, RegistryError> {
        let value = parse_value(text).map_err(|source| RegistryError::Syntax { origin: origin.to_owned(), source })?;
        Self::from_value(value, origin)
    }

    /// The same for a value that is parsed already.
    pub(crate) fn from_value(value: Value, origin: &str) -> Result<Self, RegistryError> {
        let wrong = |field: &str, reason: &str| RegistryError::Shape {
            origin: origin.to_owned(),
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        let Value::Object(mut root) = value else {
            return Err(wrong("the document", "must be an object with a key `presets`"));
        };
        let presets = match root.remove("presets") {
            Some(Value::Object(presets)) => presets,
            Some(_) => return Err(wrong("presets", "must be an object of presets by id")),
            None => return Err(wrong("presets", "is missing; it is an object of presets by id")),
        };
        Ok(Self { origin: origin.to_owned(), root, presets, unreadable: HashMap::new() })
    }

    /// The document as a value, with the presets that were added to it.
    pub(crate) fn into_value(mut self) -> Value {
        self.root.insert("presets".to_owned(), Value::Object(self.presets));
        Value::Object(self.root)
    }

    /// The presets that lie in files of their own. A path that leaves the index's folder is a fault of its preset.
    pub(crate) fn preset_files(&mut self) -> Vec<PresetFile> {
        let mut files = Vec::new();
        let mut refused = Vec::new();
        for (preset, entry) in &self.presets {
            if entry.get("files").is_some_and(|files| !files.is_null()) {
                continue;
            }
            let Some(path) = entry.get("path").and_then(Value::as_str) else {
                continue;
            };
            match ConfinedPath::parse(path) {
                Ok(path) => files.push(PresetFile { preset: preset.clone(), path }),
                Err(error) => refused.push((preset.clone(), error.to_string())),
            }
        }
        for (preset, reason) in refused {
            self.refuse_preset_file(&preset, reason);
        }
        files
    }

    /// Adds what the preset's own file says to what the index says of it; the file wins.
    pub(crate) fn add_preset_file(&mut self, file: &PresetFile, text: &str) {
        match parse_value(text) {
            Ok(Value::Object(fields)) => {
                if let Some(Value::Object(entry)) = self.presets.get_mut(&file.preset) {
                    entry.extend(fields);
                }
            }
            Ok(_) => self.refuse_preset_file(&file.preset, format!("{} holds no preset", file.path)),
            Err(error) => self.refuse_preset_file(
                &file.preset,
                format!("{} is neither JSON nor YAML that can be read: {error}", file.path),
            ),
        }
    }

    /// Marks a preset as unusable because its file could not be had.
    pub(crate) fn refuse_preset_file(&mut self, preset: &str, reason: String) {
        let fault = Fault { preset: preset.to_owned(), field: "path".to_owned(), reason };
        self.unreadable.insert(preset.to_owned(), fault);
    }

    /// The catalog of every preset that can be used. What it does not say of a preset, the embedded one may.
    pub(crate) fn catalog(&self) -> Result<Catalog, RegistryError> {
        let ours = embedded();
        self.catalog_with(|preset| {
            if let Some(ours) = ours.get(&preset.id) {
                preset.fill_from(ours);
            }
        })
    }

    /// The same for the embedded document, whose figures are our own.
    pub(crate) fn our_catalog(&self) -> Result<Catalog, RegistryError> {
        self.catalog_with(|preset| {
            preset.vram = preset.vram.map(|vram| Vram { from: VramFrom::Dashboard, ..vram });
        })
    }

    fn catalog_with(&self, complete: impl Fn(&mut Preset)) -> Result<Catalog, RegistryError> {
        let head = self.head();
        let mut presets: Vec<Preset> = Vec::new();
        let mut keys: HashMap<PresetId, &str> = HashMap::new();
        let mut skipped = Vec::new();
        for (key, entry) in &self.presets {
            let read = match self.unreadable.get(key) {
                Some(fault) => Err(fault.clone()),
                None => reading::read_preset(key, entry, &head.categories),
            };
            match read {
                Ok(mut preset) => match keys.entry(preset.id.clone()) {
                    Entry::Vacant(place) => {
                        place.insert(key);
                        complete(&mut preset);
                        presets.push(preset);
                    }
                    Entry::Occupied(first) => skipped.push(Fault {
                        preset: key.clone(),
                        field: "id".to_owned(),
                        reason: format!(
                            "is the same id as {:?}: case, and '-' for '_', make no difference",
                            first.get()
                        ),
                    }),
                },
                Err(fault) => skipped.push(fault),
            }
        }
        let catalog = Catalog::new(head, presets, skipped);
        if catalog.is_empty() {
            let skipped = catalog.skipped().to_vec();
            return Err(RegistryError::NoUsablePreset { origin: self.origin.clone(), skipped });
        }
        Ok(catalog)
    }

    fn head(&self) -> Head {
        let metadata = self.root.get("metadata");
        let field = |name: &str| self.root.get(name).or_else(|| metadata.and_then(|metadata| metadata.get(name)));
        Head {
            version: field("version").and_then(stated::words),
            schema_version: field("schema_version").and_then(stated::words),
            generated_at: field("generated_at")
                .or_else(|| field("last_updated"))
                .and_then(Value::as_str)
                .and_then(moment),
            categories: self
                .root
                .get("categories")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, about)| (name.clone(), medium(about)))
                .collect(),
        }
    }
}

/// A category says its medium as `"video"` or as `{"type": "video"}`.
fn medium(about: &Value) -> Option<String> {
    about.as_str().or_else(|| about.get("type").and_then(Value::as_str)).map(str::to_owned)
}

/// A full time stamp, or a date with or without a time of day, which then is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let in_utc = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(in_utc))
        .or_else(|| text.parse::<Date>().ok().and_then(|day| in_utc(day.at(0, 0, 0, 0))))
}
