//! Repairing damaged files: the checksums of their blocks were kept when they arrived, so only the blocks that changed are
//! fetched, and the SHA-256 of the whole proves the result.

use registry::ConfinedPath;

use super::{Downloads, FileState, Priority};
use crate::{
    Error, MayReplace,
    downloads::store::{DownloadInsert, Existing, FileRow},
    fits::Expected,
    ids,
    tasks::blocking,
};

/// A repair that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairStarted {
    /// The download that does it.
    pub download_id: String,
    /// The files that it works on.
    pub paths: Vec<String>,
    /// Files that cannot be repaired, and why.
    pub errors: Vec<(String, String)>,
}

impl Downloads {
    /// Fetches the damaged blocks of these files as one download. Fails when none of them can be repaired.
    pub async fn repair(&self, paths: &[String], may_replace: MayReplace) -> Result<RepairStarted, Error> {
        let _planning = self.planning.lock().await;
        if may_replace == MayReplace::OwnOrDamaged {
            self.refuse_foreign(paths).await?;
        }
        let (mut files, mut errors) = (Vec::new(), Vec::new());
        for path in paths {
            if files.iter().any(|file: &FileRow| file.path == *path) {
                continue;
            }
            match self.repairable(path).await? {
                Ok(file) => files.push(file),
                Err(reason) => errors.push((path.clone(), reason)),
            }
        }
        if files.is_empty() {
            let reasons: Vec<String> = errors.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
            return Err(Error::conflict(
                format!("None of these files can be repaired ({})", reasons.join("; ")),
                vec![("paths", paths.join(", "))],
            ));
        }
        self.space.check(&files, &self.store.unfinished_downloads().await?).await?;
        let repaired = files.iter().map(|file| file.path.clone()).collect();
        let download = DownloadInsert {
            id: ids::new_download_id(),
            preset_id: None,
            definition: None,
            priority: Priority::Normal,
            warnings: Vec::new(),
            files,
            created_at: self.clock.now(),
        };
        let view = self.begin(&download).await?;
        Ok(RepairStarted { download_id: view.id, paths: repaired, errors })
    }

    /// Refuses files that were changed since they arrived and that nothing shows to be damaged: somebody may have put another
    /// one there. A validation shows it.
    async fn refuse_foreign(&self, paths: &[String]) -> Result<(), Error> {
        let confined: Vec<ConfinedPath> = paths.iter().filter_map(|path| ConfinedPath::parse(path).ok()).collect();
        let index = self.index.clone();
        let foreign = blocking(move || {
            index.refresh(&confined);
            let is_foreign = |path: &&ConfinedPath| !index.is_own_or_damaged(path.as_str(), &Expected::default());
            confined.iter().filter(is_foreign).map(|path| path.as_str().to_owned()).collect::<Vec<_>>()
        })
        .await?;
        if foreign.is_empty() { Ok(()) } else { Err(Error::ReplacingNeedsAdmin { paths: foreign }) }
    }

    async fn repairable(&self, path: &str) -> Result<Result<FileRow, String>, Error> {
        let confined = match ConfinedPath::parse(path) {
            Ok(confined) => confined,
            Err(refused) => return Ok(Err(refused.to_string())),
        };
        let (index, looked_at) = (self.index.clone(), confined.clone());
        blocking(move || index.refresh([&looked_at])).await?;
        if self.index.size(path).is_none() {
            return Ok(Err("there is no such file".to_owned()));
        }
        let busy = self.store.unfinished_downloads().await?;
        if busy.iter().any(|stored| stored.files.iter().any(|file| file.path == path)) {
            return Ok(Err("a download is working on it".to_owned()));
        }
        let record = self.store.file_record(path).await?;
        let Some((record, source)) = record.and_then(|record| Some((record.clone(), record.source?))) else {
            return Ok(Err("it did not arrive through this dashboard, so its checksums are not known".to_owned()));
        };
        let named = self.index.expected_at(&confined, &self.catalogue.current());
        let here = self.index.validated_hash(path);
        if here.is_some() && [named.as_ref(), Some(&record.sha256)].contains(&here.as_ref()) {
            return Ok(Err("its SHA-256 is the expected one: fetching it again would bring the same bytes".to_owned()));
        }
        if named.is_some_and(|named| named != record.sha256) {
            let reason = "the registry asks for another content than the one that arrived; install its preset instead";
            return Ok(Err(reason.to_owned()));
        }
        let mut sources = self.store.sources_of_arrival(path).await?;
        if sources.is_empty() {
            sources.push(source);
        }
        Ok(Ok(FileRow {
            path: path.to_owned(),
            sources,
            sha256: Some(record.sha256),
            size_bytes: Some(record.size_bytes),
            stated_bytes: None,
            existing: Existing::Verify,
            pinned: true,
            staged: false,
            state: FileState::Pending,
            error: None,
        }))
    }
}
