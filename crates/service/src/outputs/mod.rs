//! What ComfyUI made: the files of its output folder, how large they are, one of them as a stream, and their end; and files
//! that go into its input folder.
//!
//! Where that folder lies on this machine it is looked at itself. Of a ComfyUI elsewhere only those files are known that our
//! prompts brought about, and nothing can be deleted.

mod delete;
mod folder;
mod list;
mod store;
mod view;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use comfy_client::ComfyError;
use futures_util::Stream;
use registry::ConfinedPath;

pub use comfy_client::{FileReference, FileStream};
pub use delete::OutputsDeleted;
pub use list::{OutputFile, OutputList, OutputQuery, OutputSort};
pub use view::ViewConditions;

use crate::{Error, Resource, comfy::Comfy, database::Store};

/// Folders of ComfyUI that files are read from.
const READABLE: [&str; 3] = ["output", "input", "temp"];

/// Every file that ComfyUI made. Cheap to clone.
#[derive(Clone)]
pub struct Outputs {
    comfy: Comfy,
    store: Store,
    /// What ComfyUI last said of its output folder, since the start.
    last_said: Arc<Mutex<Option<Said>>>,
}

/// What ComfyUI said of its output folder: where it is on this machine, if it is.
type Said = Option<PathBuf>;

impl Outputs {
    pub(crate) fn new(comfy: Comfy, store: Store) -> Self {
        Self { comfy, store, last_said: Arc::default() }
    }

    /// A file as a stream.
    pub async fn view(&self, file: FileReference, conditions: ViewConditions<'_>) -> Result<FileStream, Error> {
        if !READABLE.contains(&file.folder.as_str()) {
            return Err(Error::invalid("type", format!("it takes one of {}", READABLE.join(", "))));
        }
        let path = path_of(&file)?;
        let folder = if file.folder == "output" { self.folder().await? } else { None };
        let found = match folder {
            Some(folder) => view::open(folder, path.clone(), conditions).await?,
            None => {
                let ViewConditions { range, if_none_match, if_range } = conditions;
                let headers = [("range", range), ("if-none-match", if_none_match), ("if-range", if_range)];
                let given: Vec<(&str, &str)> =
                    headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                self.comfy.client.view(&file, &given).await?
            }
        };
        found.ok_or_else(|| Error::NotFound { resource: Resource::Output, id: path.as_str().to_owned() })
    }

    /// Puts a file into ComfyUI's input folder; the answer is where it is. Without `overwrite` ComfyUI finds another name
    /// for it where that one is taken.
    pub async fn upload<S>(&self, file: FileReference, overwrite: bool, body: S) -> Result<FileReference, Error>
    where
        S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    {
        path_of(&file)?;
        match self.comfy.client.upload_input(&file, overwrite, body).await {
            Err(ComfyError::Refused { status: 413, .. }) => {
                Err(Error::TooLarge { what: "The file", limit_bytes: None })
            }
            Err(ComfyError::Refused { answer, .. }) => {
                Err(Error::invalid("body", format!("ComfyUI refused it: {answer}")))
            }
            stored => Ok(stored?),
        }
    }
}

/// A file's place below its folder. Neither name nor subfolder may lead anywhere else.
fn path_of(file: &FileReference) -> Result<ConfinedPath, Error> {
    let refused =
        |field: &'static str| move |refused: registry::PathRefused| Error::invalid(field, refused.to_string());
    let name = ConfinedPath::parse(&file.filename).map_err(refused("filename"))?;
    if name.folder().is_some() {
        return Err(Error::invalid("filename", "it is a name without a folder; send the folder as \"subfolder\""));
    }
    if file.subfolder.is_empty() {
        return Ok(name);
    }
    ConfinedPath::parse(&format!("{}/{}", file.subfolder, file.filename)).map_err(refused("subfolder"))
}
