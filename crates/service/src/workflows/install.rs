//! Fetching what a workflow lacks, as one download.

use registry::ModelFile;

use super::{ModelRequirement, Workflows};
use crate::{
    Error,
    downloads::store::{DownloadInsert, Existing, FileRow},
    downloads::{FileState, Priority, address::full_address},
    ids,
};

/// What was begun for a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementsInstalled {
    /// The download that brings what is missing; `None` where nothing is.
    pub download_id: Option<String>,
    /// The files that it brings, below the models folder.
    pub files: Vec<String>,
    /// Files that other downloads are bringing already.
    pub already_fetched: Vec<String>,
    /// Model files that are missing and for which no address is known.
    pub without_source: Vec<String>,
    /// Model files of which it is not known whether the graph needs them, and which are not fetched.
    pub unjudged: Vec<String>,
    /// Bytes that are fetched, as far as known.
    pub total_bytes: u64,
}

/// Model files on their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetching {
    /// The download that brings them, or the first of the others that do; `None` where nothing is fetched.
    pub download_id: Option<String>,
    /// The files that it brings, below the models folder.
    pub files: Vec<String>,
    /// Files that other downloads are bringing already.
    pub already_fetched: Vec<String>,
    /// Bytes that are fetched, as far as known.
    pub total_bytes: u64,
}

impl Workflows {
    /// Begins one download of all model files that a stored workflow lacks.
    pub async fn install_requirements(&self, id: &str, priority: Priority) -> Result<RequirementsInstalled, Error> {
        let needs = self.requirements_of(id).await?;
        if !needs.comfyui_asked && needs.models.iter().all(|model| !model.known && model.file().is_none()) {
            // Nothing could be judged.
            self.comfy.client.object_info().await?;
        }
        let files = needs.models.iter().filter(|model| !model.present).filter_map(ModelRequirement::file).collect();
        let names = |known: bool| {
            let lacking = needs.models.iter().filter(move |model| !model.present && model.file().is_none());
            lacking.filter(move |model| model.known == known).map(|model| model.name.clone()).collect()
        };
        let (without_source, unjudged): (Vec<String>, Vec<String>) = (names(true), names(false));
        let Fetching { download_id, files, already_fetched, total_bytes } = self.fetch(files, priority).await?;
        if download_id.is_none() && !without_source.is_empty() && unjudged.is_empty() {
            return Err(nowhere_to_be_had(&without_source));
        }
        Ok(RequirementsInstalled { download_id, files, already_fetched, without_source, unjudged, total_bytes })
    }

    /// Begins one download of these files, but for those that other downloads bring already.
    pub(super) async fn fetch(&self, wanted: Vec<ModelFile>, priority: Priority) -> Result<Fetching, Error> {
        let downloads = &self.presets.downloads;
        let _planning = downloads.planning.lock().await;
        let unfinished = downloads.store.unfinished_downloads().await?;
        let bringing = |path: &str| {
            let pending = |file: &&FileRow| file.path == path && file.state != FileState::Completed;
            unfinished.iter().find(|stored| stored.files.iter().any(|file| pending(&file))).map(|stored| &stored.row.id)
        };
        let (mut fetching, mut files) = (Fetching::default(), Vec::new());
        for file in wanted {
            let path = file.path.as_str().to_owned();
            match bringing(&path) {
                Some(download) => {
                    fetching.already_fetched.push(path);
                    fetching.download_id.get_or_insert_with(|| download.clone());
                }
                None if files.iter().any(|planned: &FileRow| planned.path == path) => {}
                None => {
                    let index = &self.presets.index;
                    index.refuse_unfinished(&path, &index.expected(&file))?;
                    files.push(self.row_of(&file));
                }
            }
        }
        if files.is_empty() {
            return Ok(fetching);
        }
        downloads.space.check(&files, &unfinished).await?;
        fetching.files = files.iter().map(|file| file.path.clone()).collect();
        fetching.total_bytes = files.iter().filter_map(|file| file.size_bytes.or(file.stated_bytes)).sum();
        let download = DownloadInsert {
            id: ids::new_download_id(),
            preset_id: None,
            definition: None,
            priority,
            warnings: Vec::new(),
            files,
            created_at: downloads.clock.now(),
        };
        fetching.download_id = Some(downloads.begin(&download).await?.id);
        Ok(fetching)
    }

    fn row_of(&self, file: &ModelFile) -> FileRow {
        let expected = self.presets.index.expected(file);
        FileRow {
            path: file.path.as_str().to_owned(),
            sources: vec![full_address(&file.url)],
            pinned: file.sha256.is_some(),
            sha256: expected.sha256,
            size_bytes: expected.size_bytes,
            stated_bytes: file.stated_size,
            existing: Existing::Share,
            staged: false,
            state: FileState::Pending,
            error: None,
        }
    }
}

fn nowhere_to_be_had(names: &[String]) -> Error {
    let names = names.join(", ");
    Error::conflict(
        format!("No address is known for {names}; fetch it with POST /api/downloads"),
        vec![("files", names)],
    )
}
