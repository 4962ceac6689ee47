//! The catalogue: an immutable snapshot of one registry, and the questions that it answers.
//!
//! Must not know where it came from or what is installed; callers bring installed versions along.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use semver::Version;

use crate::confined_path::ConfinedPath;
use crate::dependencies;
use crate::preset::{Preset, PresetId};

/// Every usable preset of one registry, in the order of its document, and what had to be left out.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    head: Head,
    presets: Vec<Preset>,
    skipped: Vec<Fault>,
    position: HashMap<PresetId, usize>,
    /// Place of each preset in an order where dependencies come before those who need them.
    install_rank: Vec<usize>,
    claims: HashMap<ConfinedPath, Vec<usize>>,
}

/// What a registry document says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) version: Option<String>,
    pub(crate) schema_version: Option<String>,
    pub(crate) generated_at: Option<Timestamp>,
    /// Category name and its medium, in the order of the document.
    pub(crate) categories: Vec<(String, Option<String>)>,
}

/// A preset that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The preset's key in the registry, which need not be a valid id.
    pub preset: String,
    /// The field that is wrong, such as `files[2].url`.
    pub field: String,
    /// A sentence part: what is wrong and what is accepted.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "preset {:?}, field {}: {}", self.preset, self.field, self.reason)
    }
}

/// Which presets to list; an empty filter lists all. Letter case never matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Only this category.
    pub category: Option<&'a str>,
    /// Only this medium (`type` in the documents).
    pub kind: Option<&'a str>,
    /// Only presets that have every word of this text in name, description, tags or id.
    pub search: Option<&'a str>,
}

impl Filter<'_> {
    /// Whether a preset passes.
    #[must_use]
    pub fn matches(&self, preset: &Preset) -> bool {
        self.prepare().matches(&SearchText::of(preset))
    }

    /// The same filter, for many presets.
    #[must_use]
    pub fn prepare(&self) -> PreparedFilter {
        let lower = |text: Option<&str>| text.map(str::to_lowercase);
        let words = self.search.unwrap_or("").split_whitespace().map(str::to_lowercase);
        PreparedFilter { category: lower(self.category), kind: lower(self.kind), words: words.collect() }
    }
}

/// A filter whose case is settled.
#[derive(Clone, Debug)]
pub struct PreparedFilter {
    category: Option<String>,
    kind: Option<String>,
    words: Vec<String>,
}

impl PreparedFilter {
    /// Whether the preset with this text passes.
    #[must_use]
    pub fn matches(&self, text: &SearchText) -> bool {
        let is_or_any = |wanted: Option<&str>, actual: &str| wanted.is_none_or(|wanted| wanted == actual);
        is_or_any(self.category.as_deref(), &text.category)
            && is_or_any(self.kind.as_deref(), &text.kind)
            && self.words.iter().all(|word| text.words.contains(word.as_str()))
    }
}

/// What a preset is found by, in lower case.
#[derive(Clone, Debug)]
pub struct SearchText {
    category: String,
    kind: String,
    /// Name, description, id and tags, a line each.
    words: String,
}

impl SearchText {
    /// The text of a preset.
    #[must_use]
    pub fn of(preset: &Preset) -> Self {
        let id = preset.id.as_str();
        let mut words = format!("{}\n{}\n{id}\n{}", preset.name, preset.description, id.replace('_', "-"));
        for tag in &preset.tags {
            words.push('\n');
            words.push_str(tag);
        }
        Self { category: preset.category.to_lowercase(), kind: preset.kind.to_lowercase(), words: words.to_lowercase() }
    }
}

/// A group of presets and how many it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Readable name, as presets carry it.
    pub name: String,
    /// Its medium, where the registry declares one.
    pub kind: Option<String>,
    /// How many presets of this catalogue are in it.
    pub count: usize,
}

/// An installed preset of which the catalogue has a newer version.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// The newer preset, as the catalogue has it.
    pub preset: &'a Preset,
    /// The version that is installed.
    pub installed: Version,
}

impl Catalog {
    /// A catalogue of these presets. Those whose dependencies are unknown or circular join the skipped.
    pub(crate) fn new(head: Head, presets: Vec<Preset>, mut skipped: Vec<Fault>) -> Self {
        let (presets, install_rank, refused) = dependencies::settle(presets);
        skipped.extend(refused);
        let position = presets.iter().enumerate().map(|(at, preset)| (preset.id.clone(), at)).collect();
        let mut claims: HashMap<ConfinedPath, Vec<usize>> = HashMap::new();
        for (at, preset) in presets.iter().enumerate() {
            for file in &preset.files {
                claims.entry(file.path.clone()).or_default().push(at);
            }
        }
        Self { head, presets, skipped, position, install_rank, claims }
    }

    /// Version that the registry gives itself.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.head.version.as_deref()
    }

    /// Version of the registry's format, in its own words.
    #[must_use]
    pub fn schema_version(&self) -> Option<&str> {
        self.head.schema_version.as_deref()
    }

    /// When the registry was made (`last_updated` in the older format).
    #[must_use]
    pub fn generated_at(&self) -> Option<Timestamp> {
        self.head.generated_at
    }

    /// Presets that were left out, each with its reason.
    #[must_use]
    pub fn skipped(&self) -> &[Fault] {
        &self.skipped
    }

    /// How many presets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.presets.len()
    }

    /// Whether there is no preset at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.presets.is_empty()
    }

    /// The preset of this id.
    #[must_use]
    pub fn get(&self, id: &PresetId) -> Option<&Preset> {
        self.position.get(id).map(|&at| &self.presets[at])
    }

    /// All presets, in the order of the registry.
    pub fn iter(&self) -> std::slice::Iter<'_, Preset> {
        self.presets.iter()
    }

    /// Every category that is declared or used, with its number of presets: declared ones first, in their order.
    #[must_use]
    pub fn categories(&self) -> Vec<Category> {
        let mut categories: Vec<Category> = self
            .head
            .categories
            .iter()
            .map(|(name, kind)| Category { name: name.clone(), kind: kind.clone(), count: 0 })
            .collect();
        for preset in &self.presets {
            match categories.iter_mut().find(|category| category.name == preset.category) {
                Some(category) => category.count += 1,
                None => categories.push(Category {
                    name: preset.category.clone(),
                    kind: Some(preset.kind.clone()),
                    count: 1,
                }),
            }
        }
        categories
    }

    /// The presets that pass the filter, in the order of the registry.
    #[must_use]
    pub fn filter(&self, filter: &Filter<'_>) -> Vec<&Preset> {
        let filter = filter.prepare();
        self.presets.iter().filter(|preset| filter.matches(&SearchText::of(preset))).collect()
    }

    /// The installed presets that the catalogue has in a newer version, by semantic versioning, in its order.
    pub fn updates<'a>(&self, installed: impl IntoIterator<Item = (&'a PresetId, &'a Version)>) -> Vec<Update<'_>> {
        let installed: HashMap<&PresetId, &Version> = installed.into_iter().collect();
        self.presets
            .iter()
            .filter_map(|preset| installed.get(&preset.id).map(|version| (preset, *version)))
            .filter(|(preset, version)| preset.version.cmp_precedence(version) == Ordering::Greater)
            .map(|(preset, version)| Update { preset, installed: version.clone() })
            .collect()
    }

    /// The preset and everything it depends on, dependencies first, itself last; empty for an unknown id.
    #[must_use]
    pub fn install_order(&self, id: &PresetId) -> Vec<&Preset> {
        let mut wanted: Vec<usize> = self.position.get(id).copied().into_iter().collect();
        let mut seen = 0;
        while let Some(&at) = wanted.get(seen) {
            seen += 1;
            for dependency in &self.presets[at].dependencies {
                let needed = self.position[dependency];
                if !wanted.contains(&needed) {
                    wanted.push(needed);
                }
            }
        }
        wanted.sort_by_key(|&at| self.install_rank[at]);
        wanted.into_iter().map(|at| &self.presets[at]).collect()
    }

    /// Every preset that has a file at this path.
    #[must_use]
    pub fn presets_claiming(&self, path: &ConfinedPath) -> Vec<&Preset> {
        let positions = self.claims.get(path).map_or(&[][..], Vec::as_slice);
        positions.iter().map(|&at| &self.presets[at]).collect()
    }
}
