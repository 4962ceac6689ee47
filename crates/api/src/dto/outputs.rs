//! Files of ComfyUI as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::outputs as view;
use service::page::Order;
use utoipa::{IntoParams, ToSchema};

use super::page::{ListPart, ListQuery, SortOrder, order_or};
use super::units::{gigabytes, size_text};

/// Which outputs are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutputListQuery {
    /// Only those of this prompt.
    prompt_id: Option<String>,
    /// What the path must contain; case aside.
    search: Option<String>,
    /// What to sort by; without it, the latest come first.
    #[param(inline)]
    sort: Option<OutputSort>,
    /// Which way to sort.
    #[param(inline)]
    order: Option<SortOrder>,
}

/// What a list of outputs can be sorted by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputSort {
    /// By when it was last written.
    Modified,
    /// By size.
    Size,
    /// By path.
    Path,
}

impl From<ListQuery<OutputListQuery>> for view::OutputQuery {
    fn from(ListQuery(query, page): ListQuery<OutputListQuery>) -> Self {
        let own = if query.sort.is_none() { Order::Descending } else { Order::Ascending };
        Self {
            prompt_id: query.prompt_id,
            search: query.search,
            sort: match query.sort {
                None | Some(OutputSort::Modified) => view::OutputSort::Modified,
                Some(OutputSort::Size) => view::OutputSort::Size,
                Some(OutputSort::Path) => view::OutputSort::Path,
            },
            order: order_or(query.order, own),
            page,
        }
    }
}

/// A file that ComfyUI made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// Its name.
    pub filename: String,
    /// Its subfolder; empty for none.
    pub subfolder: String,
    /// `output` or `temp`.
    pub r#type: String,
    /// Subfolder and name, as deleting takes it.
    pub path: String,
    /// Its size as text.
    pub size: Option<String>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// When it was last written; unknown where ComfyUI is on another machine.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub modified: Option<Timestamp>,
}

impl From<view::OutputFile> for Output {
    fn from(output: view::OutputFile) -> Self {
        Self {
            filename: output.file.filename,
            subfolder: output.file.subfolder,
            r#type: output.file.folder,
            path: output.path,
            size: output.size_bytes.map(size_text),
            size_bytes: output.size_bytes,
            modified: output.modified,
        }
    }
}

/// A part of the list of outputs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OutputList {
    /// The outputs of this page.
    pub outputs: Vec<Output>,
    /// Size of all that match, in units of 2^30 bytes.
    pub total_size_gb: f64,
    /// Size of all that match; where ComfyUI is on another machine, of this page.
    pub total_size_bytes: u64,
    /// The folder was looked at itself; else these are the outputs of our own prompts.
    pub complete: bool,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<view::OutputList> for OutputList {
    fn from(list: view::OutputList) -> Self {
        let page = list.page;
        Self {
            total_size_gb: gigabytes(list.total_size_bytes),
            total_size_bytes: list.total_size_bytes,
            complete: list.is_complete,
            part: ListPart::from(&page),
            outputs: page.items.into_iter().map(Output::from).collect(),
        }
    }
}

/// Which outputs to delete; as a body or as query parameters.
#[derive(Debug, Clone, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct OutputsDeleteRequest {
    /// The files, as `path` of the list has them; at least one.
    #[schema(min_items = 1)]
    #[param(required = false, min_items = 1)]
    pub paths: Vec<String>,
    /// Must be `true`.
    #[param(required = false)]
    pub confirm: bool,
}

/// An output that was not deleted, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutputNotDeleted {
    /// As given.
    pub path: String,
    /// A code, as in the error envelope.
    #[schema(example = "NOT_FOUND")]
    pub code: String,
    /// Why.
    pub error: String,
}

/// What deleting outputs did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutputsDeleted {
    /// How many files are gone.
    pub deleted: u64,
    /// Space that is free again, in units of 2^30 bytes.
    pub space_freed_gb: f64,
    /// Space that is free again.
    pub space_freed_bytes: u64,
    /// Those that stayed.
    pub errors: Vec<OutputNotDeleted>,
}

impl From<view::OutputsDeleted> for OutputsDeleted {
    fn from(gone: view::OutputsDeleted) -> Self {
        let errors = gone.errors.into_iter().map(|refused| OutputNotDeleted {
            path: refused.path,
            code: refused.code.to_owned(),
            error: refused.error,
        });
        Self {
            deleted: gone.deleted,
            space_freed_gb: gigabytes(gone.freed_bytes),
            space_freed_bytes: gone.freed_bytes,
            errors: errors.collect(),
        }
    }
}

/// A file of ComfyUI's own folders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// Its name.
    #[param(example = "ComfyUI_00001_.png", min_length = 1)]
    filename: String,
    /// Its subfolder.
    #[serde(default)]
    #[param(required = false)]
    subfolder: String,
    /// Its folder; without it, `output`.
    #[param(inline)]
    r#type: Option<FolderName>,
}

/// A folder of ComfyUI's own.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FolderName {
    /// What was made.
    Output,
    /// What was given.
    Input,
    /// What was made and need not be kept.
    Temp,
}

impl From<FileQuery> for view::FileReference {
    fn from(query: FileQuery) -> Self {
        let folder = match query.r#type {
            None | Some(FolderName::Output) => "output",
            Some(FolderName::Input) => "input",
            Some(FolderName::Temp) => "temp",
        };
        Self { filename: query.filename, subfolder: query.subfolder, folder: folder.to_owned() }
    }
}

/// Where a file is put.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// Its name.
    #[param(example = "face.png", min_length = 1)]
    filename: String,
    /// Its subfolder.
    #[serde(default)]
    #[param(required = false)]
    subfolder: String,
    /// Whether one of that name is replaced; else ComfyUI finds another name.
    #[serde(default)]
    #[param(required = false)]
    pub overwrite: bool,
}

impl From<UploadQuery> for view::FileReference {
    fn from(query: UploadQuery) -> Self {
        Self { filename: query.filename, subfolder: query.subfolder, folder: "input".to_owned() }
    }
}

/// A file that was put into ComfyUI's input folder.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// Its name, as loader nodes take it.
    pub name: String,
    /// Its subfolder.
    pub subfolder: String,
    /// Always `input`.
    pub r#type: String,
}

impl From<view::FileReference> for Uploaded {
    fn from(file: view::FileReference) -> Self {
        Self { name: file.filename, subfolder: file.subfolder, r#type: file.folder }
    }
}
