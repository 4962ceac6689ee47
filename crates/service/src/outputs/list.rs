//! The list of outputs: all that lie in the folder, or those of one prompt.

use comfy_client::FileReference;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use registry::ConfinedPath;
use serde_json::{Map, Value};

use super::{Outputs, path_of};
use crate::{
    Error, Resource,
    model_dir::{ModelDir, Stamp},
    page::{Order, Page, PageRequest, sort_by_key},
    tasks::blocking,
};

/// How many files ComfyUI is asked about at once.
const ASKED_AT_ONCE: usize = 8;
/// How many prompts back outputs are known where the folder is elsewhere.
const PROMPTS_BACK: u32 = 1000;

/// A file that ComfyUI made.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputFile {
    /// Its name, its subfolder and the folder of ComfyUI that it lies in.
    pub file: FileReference,
    /// Subfolder and name.
    pub path: String,
    /// Its size; `None` where it is gone or nobody says.
    pub size_bytes: Option<u64>,
    /// When it was last written; unknown where the folder is on another machine.
    pub modified: Option<Timestamp>,
}

/// A list of outputs, and what all that match weigh.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputList {
    /// The page.
    pub page: Page<OutputFile>,
    /// Bytes of all that match, on every page, as far as they are known.
    pub total_size_bytes: u64,
    /// Whether the folder was looked at itself; else these are the outputs of our own prompts.
    pub is_complete: bool,
}

/// What a list of outputs is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputSort {
    /// By when it was last written.
    #[default]
    Modified,
    /// By size.
    Size,
    /// By path.
    Path,
}

/// Which outputs are wanted.
#[derive(Debug, Clone, Default)]
pub struct OutputQuery {
    /// Only those of this prompt.
    pub prompt_id: Option<String>,
    /// In the path, case aside.
    pub search: Option<String>,
    /// What to sort by.
    pub sort: OutputSort,
    /// Which way.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}

impl Outputs {
    /// The outputs that match.
    pub async fn list(&self, query: &OutputQuery) -> Result<OutputList, Error> {
        let folder = self.folder().await?;
        let mut files = match (&query.prompt_id, &folder) {
            (Some(id), folder) => self.of_prompt(id, folder.clone()).await?,
            (None, Some(folder)) => all_in(folder.clone()).await?,
            (None, None) => self.of_our_prompts().await?,
        };
        if let Some(word) = query.search.as_deref().map(str::to_lowercase) {
            files.retain(|file| file.path.to_lowercase().contains(&word));
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        match query.sort {
            OutputSort::Modified => sort_by_key(&mut files, query.order, |file| file.modified),
            OutputSort::Size => sort_by_key(&mut files, query.order, |file| file.size_bytes),
            OutputSort::Path => sort_by_key(&mut files, query.order, |file| file.path.clone()),
        }
        let mut total_size_bytes = files.iter().filter_map(|file| file.size_bytes).sum();
        let mut page = Page::cut(files, query.page);
        if folder.is_none() {
            self.ask_for_sizes(&mut page.items).await;
            total_size_bytes = page.items.iter().filter_map(|file| file.size_bytes).sum();
        }
        Ok(OutputList { page, total_size_bytes, is_complete: folder.is_some() })
    }

    async fn of_prompt(&self, id: &str, folder: Option<ModelDir>) -> Result<Vec<OutputFile>, Error> {
        let outputs = match self.store.prompt(id).await? {
            Some(row) => row.outputs,
            None => {
                let execution = self.comfy.client.history(id).await?;
                let not_found = || Error::NotFound { resource: Resource::Prompt, id: id.to_owned() };
                execution.ok_or_else(not_found)?.outputs
            }
        };
        let files = files_of(&outputs);
        match folder {
            Some(folder) => blocking(move || files.into_iter().map(|file| looked_at(&folder, file)).collect()).await,
            None => Ok(files.into_iter().map(unseen).collect()),
        }
    }

    async fn of_our_prompts(&self) -> Result<Vec<OutputFile>, Error> {
        let (rows, _) = self.store.ended_prompts(None, false, 0, PROMPTS_BACK).await?;
        Ok(rows.iter().flat_map(|row| files_of(&row.outputs)).map(unseen).collect())
    }

    /// One byte of a file comes with the number of all of them.
    async fn ask_for_sizes(&self, files: &mut [OutputFile]) {
        let ask = |file: &mut OutputFile| {
            let (client, reference) = (self.comfy.client.clone(), file.file.clone());
            async move {
                let found = client.view(&reference, &[("range", "bytes=0-0")]).await.ok()??;
                let of_range = found.content_range.as_deref().and_then(|range| range.rsplit('/').next()?.parse().ok());
                of_range.or(found.content_length.filter(|_| found.status == 200))
            }
        };
        let questions: Vec<_> = files.iter_mut().map(ask).collect();
        let sizes: Vec<Option<u64>> = stream::iter(questions).buffered(ASKED_AT_ONCE).collect().await;
        for (file, size) in files.iter_mut().zip(sizes) {
            file.size_bytes = size;
        }
    }
}

async fn all_in(folder: ModelDir) -> Result<Vec<OutputFile>, Error> {
    let file = |(path, stamp): (String, Stamp)| {
        let (subfolder, filename) = path.rsplit_once('/').unwrap_or(("", &path));
        let reference = FileReference {
            filename: filename.to_owned(),
            subfolder: subfolder.to_owned(),
            folder: "output".to_owned(),
        };
        seen(reference, path, stamp)
    };
    blocking(move || folder.walk().into_iter().map(file).collect()).await
}

/// Every file that the outputs of nodes name, in their order; previews among them.
fn files_of(outputs: &Map<String, Value>) -> Vec<FileReference> {
    let lists = outputs.values().filter_map(Value::as_object).flat_map(|output| output.values());
    let text = |file: &Value, key: &str| file.get(key).and_then(Value::as_str).map(str::to_owned);
    lists
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|file| {
            Some(FileReference {
                filename: text(file, "filename")?,
                subfolder: text(file, "subfolder").unwrap_or_default(),
                folder: text(file, "type").unwrap_or_else(|| "output".to_owned()),
            })
        })
        .collect()
}

fn unseen(file: FileReference) -> OutputFile {
    let path = path_of(&file).map_or_else(|_| file.filename.clone(), |path| path.as_str().to_owned());
    OutputFile { file, path, size_bytes: None, modified: None }
}

fn seen(file: FileReference, path: String, stamp: Stamp) -> OutputFile {
    let modified = Timestamp::from_nanosecond(i128::from(stamp.mtime_ns)).ok();
    OutputFile { file, path, size_bytes: Some(stamp.size), modified }
}

/// Blocks. Only what lies in the output folder is looked at; previews lie elsewhere.
fn looked_at(folder: &ModelDir, file: FileReference) -> OutputFile {
    let path = path_of(&file).ok().filter(|_| file.folder == "output");
    let stamp = path.as_ref().and_then(|path: &ConfinedPath| folder.stamp(path));
    match (path, stamp) {
        (Some(path), Some(stamp)) => seen(file, path.as_str().to_owned(), stamp),
        _ => unseen(file),
    }
}
