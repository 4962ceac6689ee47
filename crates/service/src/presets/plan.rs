//! What an install does about each file: fetch it, share it, verify it, replace it, or refuse.
//!
//! Two presets may claim one path; that alone is no conflict. What counts is what lies there or is being fetched for a
//! preset that is installed or installing.

use std::collections::HashSet;

use registry::{ModelFile, Preset};

use super::{Catalogue, InstallOptions, Presets, situation::Situation, updates::is_changed};
use crate::{
    Error, MayReplace,
    downloads::store::{Existing, FileRow, StoredDownload},
    downloads::{FileState, address::full_address},
    fits::Fit,
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
    /// Files that only an admin may have replaced.
    for_admins: Vec<String>,
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
        let mut planner =
            Planner { presets, options, situation, unfinished, own, warnings: Vec::new(), for_admins: Vec::new() };
        let mut files: Vec<FileRow> = Vec::new();
        for preset in wanted {
            for file in &preset.files {
                if !files.iter().any(|planned| planned.path == file.path.as_str()) {
                    files.push(planner.decide(preset, file)?);
                }
            }
        }
        if options.may_replace == MayReplace::OwnOrDamaged && !planner.for_admins.is_empty() {
            return Err(Error::ReplacingNeedsAdmin { paths: planner.for_admins });
        }
        Ok(Self { files, warnings: planner.warnings })
    }
}

impl Planner<'_> {
    fn decide(&mut self, preset: &Preset, file: &ModelFile) -> Result<FileRow, Error> {
        let index = &self.presets.index;
        index.refuse_unfinished(file.path.as_str(), &index.expected(file))?;
        if let Some((other, row)) = self.being_fetched(file) {
            return self.beside(preset, file, &other, &row);
        }
        let fit = self.presets.index.fit(file);
        if fit == Fit::Missing {
            return Ok(self.row(file, Existing::Share, FileState::Pending));
        }
        let refetch = self.options.force && self.options.refetch;
        let is_update = self.changed_since_install(preset, file) && !self.is_known_to_be(file);
        if is_update || refetch || fit == Fit::Wrong {
            self.may_replace(preset, file, fit)?;
            let staged = is_update && !refetch;
            return Ok(FileRow { staged, ..self.row(file, Existing::Replace, FileState::Pending) });
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
        let is_ours_to_hash = self.presets.index.seen(file.path.as_str()).is_some();
        if !self.options.force || row.sha256.is_none() || !is_ours_to_hash {
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
            Some(false) if self.options.force => {
                self.for_admins.push(file.path.as_str().to_owned());
                Ok(self.row(file, Existing::Replace, FileState::Pending))
            }
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
        let before = self.situation.installed_definition(&preset.id);
        before.is_some_and(|before| is_changed(&before, file))
    }

    /// Whether the file on the disk has the very hash that is asked for.
    fn is_known_to_be(&self, file: &ModelFile) -> bool {
        let expected = self.presets.index.expected(file).sha256;
        expected.is_some() && expected == self.presets.index.sha256(file.path.as_str())
    }

    /// Refuses to replace what another installed preset has at this path, unless that is forced. What is neither ours nor
    /// damaged, and what another preset uses, is for admins.
    fn may_replace(&mut self, preset: &Preset, file: &ModelFile, fit: Fit) -> Result<(), Error> {
        let user = if fit.is_here() { None } else { self.user_of(file) };
        if let Some(other) = user.as_deref().filter(|_| !self.options.force) {
            return Err(conflict(preset, other, file));
        }
        let index = &self.presets.index;
        if user.is_some() || !index.is_own_or_damaged(file.path.as_str(), &index.expected(file)) {
            self.for_admins.push(file.path.as_str().to_owned());
        }
        Ok(())
    }

    /// Another installed preset for which the file on the disk is the right one.
    fn user_of(&self, file: &ModelFile) -> Option<String> {
        let catalog = self.presets.catalogue.current();
        let installed = Catalogue::installed(self.situation.installs());
        let installed = installed.iter().filter(|other| other.files.iter().any(|its| its.path == file.path));
        let mut others = catalog.presets_claiming(&file.path).into_iter().chain(installed);
        let uses_it = |other: &&Preset| !self.own.contains(other.id.as_str()) && self.presets.index.is_complete(other);
        others.find(uses_it).map(|other| other.id.to_string())
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
