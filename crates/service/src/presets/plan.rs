//! What an install does about each file: fetch it, share it, verify it, replace it, or refuse.
//!
//! Two presets may claim one path; that alone is no conflict. What counts is what lies there or is being fetched for a
//! preset that is installed or installing.

use std::collections::HashSet;

use registry::{ModelFile, Preset};

use super::{InstallOptions, Presets, definition, situation::Situation, updates::is_changed};
use crate::{
    Error,
    downloads::{FileState, address::full_address},
    fits::Fit,
    store::{Existing, FileRow, StoredDownload},
};

/// The files of an install and what was noticed on the way.
pub(super) struct Plan {
    pub(super) files: Vec<FileRow>,
    pub(super) warnings: Vec<String>,
}

/// What the planning looks at.
struct Planner<'a> {
    presets: &'a Presets,
    options: InstallOptions,
    situation: &'a Situation,
    unfinished: &'a [StoredDownload],
    own: HashSet<&'a str>,
    warnings: Vec<String>,
}

impl Plan {
    /// Decides for each file of `wanted`, dependencies first. A conflict refuses the whole.
    pub(super) fn make(
        presets: &Presets,
        wanted: &[Preset],
        options: InstallOptions,
        situation: &Situation,
        unfinished: &[StoredDownload],
    ) -> Result<Self, Error> {
        let own = wanted.iter().map(|preset| preset.id.as_str()).collect();
        let mut planner = Planner { presets, options, situation, unfinished, own, warnings: Vec::new() };
        let mut files: Vec<FileRow> = Vec::new();
        for preset in wanted {
            for file in &preset.files {
                if !files.iter().any(|planned| planned.path == file.path.as_str()) {
                    files.push(planner.decide(preset, file)?);
                }
            }
        }
        Ok(Self { files, warnings: planner.warnings })
    }
}

impl Planner<'_> {
    fn decide(&mut self, preset: &Preset, file: &ModelFile) -> Result<FileRow, Error> {
        if let Some((other, row)) = self.being_fetched(file) {
            return self.beside(preset, file, &other, &row);
        }
        let fit = self.presets.index.fit(file);
        if fit == Fit::Missing {
            return Ok(self.row(file, Existing::Share, FileState::Pending));
        }
        if self.changed_since_install(preset, file) || (self.options.force && self.options.refetch) {
            self.refuse_if_used_by_another(preset, file, fit)?;
            let staged = !self.options.refetch;
            return Ok(FileRow { staged, ..self.row(file, Existing::Replace, FileState::Pending) });
        }
        if fit == Fit::Wrong {
            self.refuse_if_used_by_another(preset, file, fit)?;
            return Ok(self.row(file, Existing::Replace, FileState::Pending));
        }
        self.warn_if_from_elsewhere(file);
        Ok(self.keep(file))
    }

    /// A file that fits stays; with `force` it is hashed once more where there is a hash to hold it against.
    fn keep(&self, file: &ModelFile) -> FileRow {
        let mut row = self.row(file, Existing::Verify, FileState::Pending);
        let arrived = self.presets.index.record(file.path.as_str());
        row.sha256 = row.sha256.or(arrived.map(|record| record.sha256));
        row.pinned = true;
        if !self.options.force || row.sha256.is_none() {
            row.state = FileState::Completed;
            row.size_bytes = self.presets.index.size(file.path.as_str());
        }
        row
    }

    /// Another download is bringing something to this place.
    fn beside(&mut self, preset: &Preset, file: &ModelFile, other: &str, row: &FileRow) -> Result<FileRow, Error> {
        let expected = self.presets.index.expected(file);
        let same_url = row.sources.iter().any(|source| full_address(source) == full_address(&file.url));
        let same_hash = expected.sha256.as_deref().zip(row.sha256.as_deref()).map(|(mine, theirs)| mine == theirs);
        match same_hash {
            Some(false) if self.options.force => Ok(self.row(file, Existing::Replace, FileState::Pending)),
            Some(false) => Err(conflict(preset, other, file)),
            None if !same_url => {
                self.warnings.push(format!(
                    "{}: what is being fetched for {other} comes from another address and is shared",
                    file.path.as_str()
                ));
                Ok(self.row(file, Existing::Share, FileState::Pending))
            }
            _ => Ok(self.row(file, Existing::Share, FileState::Pending)),
        }
    }

    fn being_fetched(&self, file: &ModelFile) -> Option<(String, FileRow)> {
        self.unfinished.iter().find_map(|stored| {
            let row = stored.files.iter().find(|row| row.path == file.path.as_str())?;
            let owner = stored.row.preset_id.clone().unwrap_or_else(|| format!("download {}", stored.row.id));
            (row.state == FileState::Pending).then(|| (owner, row.clone()))
        })
    }

    /// The installed version of the preset had another content at this path.
    fn changed_since_install(&self, preset: &Preset, file: &ModelFile) -> bool {
        if !self.situation.is_outdated(preset) {
            return false;
        }
        let before =
            self.situation.install_of(&preset.id).and_then(|install| definition::from_json(&install.definition));
        before.is_some_and(|before| is_changed(&before, file))
    }

    /// Another installed preset has its own file at this path, and this one wants a different one there.
    fn refuse_if_used_by_another(&self, preset: &Preset, file: &ModelFile, fit: Fit) -> Result<(), Error> {
        if self.options.force || fit.is_here() {
            return Ok(());
        }
        match self.user_of(file) {
            Some(other) => Err(conflict(preset, &other, file)),
            None => Ok(()),
        }
    }

    /// Another installed preset for which the file on the disk is the right one.
    fn user_of(&self, file: &ModelFile) -> Option<String> {
        let claims = |other: &&Preset| {
            !self.own.contains(other.id.as_str()) && self.presets.view((*other).clone(), true, self.situation).installed
        };
        let catalog = self.presets.catalogue.current();
        catalog.presets_claiming(&file.path).into_iter().find(claims).map(|other| other.id.to_string())
    }

    fn warn_if_from_elsewhere(&mut self, file: &ModelFile) {
        let Some(record) = self.presets.index.record(file.path.as_str()) else { return };
        let expected = self.presets.index.expected(file);
        let decided = expected.sha256.as_ref() == Some(&record.sha256);
        let address = crate::downloads::address::public_address(&file.url);
        if !decided && record.source.is_some() && record.source != address {
            self.warnings.push(format!(
                "{}: the file that is there came from another address; it is kept and shared",
                file.path.as_str()
            ));
        }
    }

    fn row(&self, file: &ModelFile, existing: Existing, state: FileState) -> FileRow {
        let expected = self.presets.index.expected(file);
        FileRow {
            path: file.path.as_str().to_owned(),
            sources: vec![full_address(&file.url)],
            sha256: expected.sha256,
            size_bytes: expected.size_bytes,
            stated_bytes: file.stated_size,
            existing,
            pinned: file.sha256.is_some(),
            staged: false,
            state,
            error: None,
        }
    }
}

fn conflict(preset: &Preset, other: &str, file: &ModelFile) -> Error {
    Error::conflict(
        format!(
            "'{}' and '{other}' both claim {}, with different content; send {{\"force\": true}} to replace it",
            preset.id,
            file.path.as_str()
        ),
        vec![("preset", preset.id.to_string()), ("other", other.to_owned()), ("path", file.path.as_str().to_owned())],
    )
}
