//! Fetching what a workflow lacks, as one download.

use registry::ModelFile;

use super::{WorkflowRequirements, Workflows};
use crate::{
    Error,
    downloads::{FileState, Priority, address::full_address},
    ids,
    store::{DownloadInsert, Existing, FileRow},
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

impl Workflows {
    /// Begins one download of all model files that a stored workflow lacks.
    pub async fn install_requirements(&self, id: &str, priority: Priority) -> Result<RequirementsInstalled, Error> {
        let needs = self.requirements_of(id).await?;
        if !needs.comfyui_asked && needs.models.iter().all(|model| !model.known && model.file().is_none()) {
            // Nothing could be judged.
            self.comfy.client.object_info().await?;
        }
        let downloads = &self.presets.downloads;
        let _planning = downloads.planning.lock().await;
        let unfinished = downloads.store.unfinished_downloads().await?;
        let mut begun = begin(&needs);
        let fetched = |path: &str| {
            let pending = |file: &&FileRow| file.path == path && file.state != FileState::Completed;
            unfinished.iter().find(|stored| stored.files.iter().any(|file| pending(&file))).map(|stored| &stored.row.id)
        };
        let mut files = Vec::new();
        for file in needs.models.iter().filter(|model| !model.present).filter_map(|model| model.file()) {
            let path = file.path.as_str().to_owned();
            match fetched(&path) {
                Some(download) => {
                    begun.already_fetched.push(path);
                    begun.download_id.get_or_insert_with(|| download.clone());
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
            return if begun.download_id.is_none() && !begun.without_source.is_empty() && begun.unjudged.is_empty() {
                Err(nowhere_to_be_had(&begun.without_source))
            } else {
                Ok(begun)
            };
        }
        downloads.space.check(&files, &unfinished).await?;
        begun.files = files.iter().map(|file| file.path.clone()).collect();
        begun.total_bytes = files.iter().filter_map(|file| file.size_bytes.or(file.stated_bytes)).sum();
        let download = DownloadInsert {
            id: ids::new_download_id(),
            preset_id: None,
            definition: None,
            priority,
            warnings: Vec::new(),
            files,
            created_at: downloads.clock.now(),
        };
        begun.download_id = Some(downloads.begin(&download).await?.id);
        Ok(begun)
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

fn begin(needs: &WorkflowRequirements) -> RequirementsInstalled {
    let names = |known: bool| {
        let lacking = needs.models.iter().filter(move |model| !model.present && model.file().is_none());
        lacking.filter(move |model| model.known == known).map(|model| model.name.clone()).collect()
    };
    RequirementsInstalled {
        download_id: None,
        files: Vec::new(),
        already_fetched: Vec::new(),
        without_source: names(true),
        unjudged: names(false),
        total_bytes: 0,
    }
}

fn nowhere_to_be_had(names: &[String]) -> Error {
    let names = names.join(", ");
    Error::conflict(
        format!("No address is known for {names}; fetch it with POST /api/downloads"),
        vec![("files", names)],
    )
}
