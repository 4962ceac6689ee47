//! One model file, looked into: what its head declares, whether it is whole, whether loading it would run code.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use model_file::{Header, Kind, Report, Structure, Verdict};
use registry::ConfinedPath;
use tokio_util::sync::CancellationToken;

use super::{
    ModelIndex, ModelView, Models,
    extra::ExtraRoot,
    integrity::{Look, integrity_of_structure, safety_of},
};
use crate::{Error, model_dir::ModelDir, tasks::blocking};

/// A file and what its own bytes say.
#[derive(Debug, Clone)]
pub struct ModelDetail {
    /// The file as lists show it.
    pub view: ModelView,
    /// What the bytes are.
    pub format: ModelFormat,
    /// Whether the structure accounts for every byte; `None`: the format does not say.
    pub whole: Option<bool>,
    /// What is wrong with the structure, as a sentence.
    pub damage: Option<String>,
    /// Whether loading it would run code, for formats that could.
    pub pickle: Option<PickleVerdict>,
    /// The name promises another format, as a sentence.
    pub wrong_format: Option<String>,
    /// What the head declares; safetensors and GGUF only.
    pub header: Option<ModelHeader>,
}

/// What the bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFormat(Kind);

impl ModelFormat {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            Kind::Safetensors => "safetensors",
            Kind::Gguf => "gguf",
            Kind::TorchZip => "torch",
            Kind::Zip => "zip",
            Kind::Pickle => "pickle",
            Kind::SevenZip => "7z",
            Kind::Rar => "rar",
            Kind::Compressed => "compressed",
            Kind::Numpy => "npy",
            Kind::Html => "html",
            Kind::LfsPointer => "lfs_pointer",
            Kind::Empty => "empty",
            Kind::Unknown => "unknown",
        }
    }
}

/// Whether loading a file would run code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PickleVerdict {
    /// It would not.
    Clean,
    /// It would: these imports are known to do that.
    Unsafe(Vec<String>),
    /// It cannot be said, for this reason, which names the imports that are on no list.
    Unknown(String),
}

/// What the head of a file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelHeader(Header);

impl ModelHeader {
    /// How many tensors the file holds.
    pub fn tensors(&self) -> u64 {
        self.0.tensors
    }

    /// How many numbers they hold together.
    pub fn parameters(&self) -> u64 {
        self.0.parameters
    }

    /// Bytes of the tensors of each element type.
    pub fn dtypes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.dtypes.iter().map(|(name, bytes)| (name.as_str(), *bytes))
    }

    /// The file's own remarks.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Remarks were left out because they are too long.
    pub fn is_metadata_cut(&self) -> bool {
        self.0.metadata_cut
    }
}

impl Models {
    /// A file, after a look at the disk and into its head. Of a file in another folder, the whole path is meant.
    pub async fn detail(&self, path: &str) -> Result<ModelDetail, Error> {
        let not_found = || Error::ModelNotFound(path.to_owned());
        self.index.first_look().await;
        let place = self.place_of(path).ok_or_else(not_found)?;
        if place.extra.is_none() && !self.index.is_model(place.relative.as_str()) {
            return Err(not_found());
        }
        let name = place.name().to_owned();
        let turn = Arc::clone(&self.inspecting).acquire_owned().await.map_err(Error::internal)?;
        // Reading stops when the caller is gone.
        let gone = CancellationToken::new();
        let _ends_the_reading = gone.clone().drop_guard();
        let report = blocking(move || {
            let _turn = turn;
            let file = place.open().ok()?;
            let relative = place.relative.clone();
            Some((place, model_file::inspect_until(&file, relative.file_name(), &|| gone.is_cancelled())))
        });
        let (place, report) = report.await?.ok_or_else(not_found)?;
        let report = report.map_err(Error::internal)?;
        let look = look_of(&report, self.clock.now());
        if let (None, Some((stamp, _))) = (&place.extra, self.index.seen(&name)) {
            self.index.looked_into(&name, stamp, look);
        }
        let mut view = self.view(&name, &self.owners().await?).ok_or_else(not_found)?;
        if place.extra.is_some() {
            view.integrity = integrity_of_structure(look.whole, Some(look.checked_at));
            view.safety = look.safety;
        }
        let damage = match &report.structure {
            Structure::Damaged { reason } => Some(reason.to_string()),
            Structure::Whole | Structure::NotJudged => None,
        };
        Ok(ModelDetail {
            view,
            format: ModelFormat(report.kind),
            whole: (report.structure != Structure::NotJudged).then_some(damage.is_none()),
            damage,
            pickle: report.pickle.map(PickleVerdict::from),
            wrong_format: report.wrong_format.map(|wrong| wrong.to_string()),
            header: report.header.map(ModelHeader),
        })
    }

    /// Where a file of a list is. A leading slash may be missing: addresses lose it.
    fn place_of(&self, path: &str) -> Option<Place> {
        let whole = format!("/{}", path.trim_start_matches('/'));
        match self.index.extra(&whole) {
            Some(file) => {
                let relative = ConfinedPath::parse(&file.path).ok()?;
                Some(Place { index: self.index.clone(), relative, extra: Some((whole, file.root)) })
            }
            None => {
                let relative = ConfinedPath::parse(path).ok()?;
                Some(Place { index: self.index.clone(), relative, extra: None })
            }
        }
    }
}

/// Where a file is: below the models folder, or below another one.
struct Place {
    index: ModelIndex,
    relative: ConfinedPath,
    extra: Option<(String, ExtraRoot)>,
}

impl Place {
    /// What lists call it.
    fn name(&self) -> &str {
        self.extra.as_ref().map_or(self.relative.as_str(), |(whole, _)| whole)
    }

    /// Looks at it and opens it. Blocks.
    fn open(&self) -> std::io::Result<std::fs::File> {
        match &self.extra {
            Some((_, root)) => ModelDir::existing(&root.folder)?.open_file(&self.relative),
            None => {
                self.index.refresh([&self.relative]);
                self.index.folder().open_file(&self.relative)
            }
        }
    }
}

fn look_of(report: &Report, checked_at: Timestamp) -> Look {
    let whole = match report.structure {
        Structure::Whole => Some(true),
        Structure::Damaged { .. } => Some(false),
        Structure::NotJudged => None,
    };
    Look { whole, safety: report.pickle.as_ref().map(safety_of), checked_at }
}

/// Why a pickle is not clean, with the imports that are on no list.
pub(super) fn with_imports(reason: String, imports: &BTreeSet<String>) -> String {
    if imports.is_empty() {
        return reason;
    }
    let names: Vec<&str> = imports.iter().map(String::as_str).collect();
    format!("{reason}: {}", names.join(", "))
}

impl From<Verdict> for PickleVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Unsafe { imports } => Self::Unsafe(imports.into_iter().collect()),
            Verdict::Unknown { reason, imports } => Self::Unknown(with_imports(reason, &imports)),
        }
    }
}
