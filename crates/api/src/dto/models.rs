//! Model files as JSON.

pub use api_types::models::{Integrity, IntegrityState, Safety, Sidecar};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::models as view;
use service::page::Order;
use utoipa::{IntoParams, ToSchema};

use super::page::{ListPart, ListQuery, SortOrder, order_or};
use super::units::gigabytes;

/// Which models are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ModelListQuery {
    /// Only this type. One that does not exist gives an empty list.
    #[param(example = "loras")]
    r#type: Option<String>,
    /// What the path must contain; case aside.
    search: Option<String>,
    /// What to sort by; without it, by path.
    #[param(inline)]
    sort: Option<ModelSort>,
    /// Which way to sort.
    #[param(inline)]
    order: Option<SortOrder>,
}

/// What a list of models can be sorted by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSort {
    /// By path.
    Path,
    /// By size.
    Size,
    /// By when it was last written.
    Modified,
    /// By type, then path.
    Type,
}

impl From<ListQuery<ModelListQuery>> for view::ModelQuery {
    fn from(ListQuery(query, page): ListQuery<ModelListQuery>) -> Self {
        Self {
            kind: query.r#type,
            search: query.search,
            sort: match query.sort {
                None | Some(ModelSort::Path) => view::ModelSort::Path,
                Some(ModelSort::Size) => view::ModelSort::Size,
                Some(ModelSort::Modified) => view::ModelSort::Modified,
                Some(ModelSort::Type) => view::ModelSort::Kind,
            },
            order: order_or(query.order, Order::Ascending),
            page,
        }
    }
}

/// A file below the models folder.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Below the models folder.
    pub path: String,
    /// The top folder; empty for a file that lies in none.
    pub r#type: String,
    /// Every type that finds it, its own first: a folder of `extra_model_paths.yaml` may serve several.
    pub types: Vec<String>,
    /// Its size in units of 2^30 bytes.
    pub size_gb: f64,
    /// Its size.
    pub size_bytes: u64,
    /// When it was last written.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub modified: Timestamp,
    /// The preset that it belongs to, an installed one where there is one.
    pub preset: Option<String>,
    /// Every preset that it belongs to, installed ones first.
    pub presets: Vec<String>,
    /// Its SHA-256, where it was computed and the file has not changed since.
    pub sha256: Option<String>,
    /// Whether it is what it should be.
    pub integrity: Integrity,
    /// Whether loading it would run code; `null`: it is no pickle, or nobody has looked.
    pub safety: Option<Safety>,
    /// Files beside it that describe it: metadata, checksums, previews.
    pub sidecars: Vec<Sidecar>,
    /// The folder of `extra_model_paths.yaml` that it lies in; its path is whole then.
    pub extra_root: Option<String>,
}

impl From<view::ModelView> for Model {
    fn from(view: view::ModelView) -> Self {
        Self {
            r#type: view.kind().to_owned(),
            preset: view.preset().map(ToString::to_string),
            path: view.path,
            types: view.kinds,
            size_gb: gigabytes(view.size_bytes),
            size_bytes: view.size_bytes,
            modified: view.modified,
            presets: view.presets.iter().map(ToString::to_string).collect(),
            sha256: view.sha256,
            integrity: view.integrity,
            safety: view.safety,
            sidecars: view.sidecars.into_iter().collect(),
            extra_root: view.extra_root.map(|folder| folder.display().to_string()),
        }
    }
}

/// A part of the list of models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// The models of this page.
    pub models: Vec<Model>,
    /// Size of all that match, in units of 2^30 bytes.
    pub total_size_gb: f64,
    /// Size of all that match.
    pub total_size_bytes: u64,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<view::ModelList> for ModelList {
    fn from(list: view::ModelList) -> Self {
        let page = list.page;
        Self {
            total_size_gb: gigabytes(list.total_size_bytes),
            total_size_bytes: list.total_size_bytes,
            part: ListPart::from(&page),
            models: page.items.into_iter().map(Model::from).collect(),
        }
    }
}

/// A folder of models.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelType {
    /// The folder's name.
    pub id: String,
    /// A readable name.
    pub name: String,
    /// How many files it has.
    pub count: u64,
    /// Their size.
    pub size_bytes: u64,
}

/// Every folder of models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModelTypes {
    /// The folders.
    pub types: Vec<ModelType>,
}

impl From<Vec<view::ModelType>> for ModelTypes {
    fn from(types: Vec<view::ModelType>) -> Self {
        let convert = |kind: view::ModelType| ModelType {
            id: kind.id,
            name: kind.name,
            count: kind.count,
            size_bytes: kind.size_bytes,
        };
        Self { types: types.into_iter().map(convert).collect() }
    }
}

/// Which models to delete; as a body or as query parameters.
#[derive(Debug, Clone, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ModelsDeleteRequest {
    /// The files, below the models folder; at least one.
    #[schema(min_items = 1)]
    #[param(required = false, min_items = 1)]
    pub paths: Vec<String>,
    /// Must be `true`.
    #[param(required = false)]
    pub confirm: bool,
    /// Delete the files that describe them too: metadata, checksums, previews.
    #[param(required = false)]
    pub sidecars: bool,
}

/// A path that was not deleted, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NotDeleted {
    /// As given.
    pub path: String,
    /// A code, as in the error envelope.
    #[schema(example = "MODEL_NOT_FOUND")]
    pub code: String,
    /// Why.
    pub error: String,
}

/// What a deletion did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelsDeleted {
    /// How many files are gone.
    pub deleted: u64,
    /// Space that is free again, in units of 2^30 bytes.
    pub space_freed_gb: f64,
    /// Space that is free again.
    pub space_freed_bytes: u64,
    /// Those that stayed.
    pub errors: Vec<NotDeleted>,
}

impl From<view::ModelsDeleted> for ModelsDeleted {
    fn from(gone: view::ModelsDeleted) -> Self {
        let convert = |refused: view::NotDeleted| NotDeleted {
            path: refused.path,
            code: refused.code.to_owned(),
            error: refused.error,
        };
        Self {
            deleted: gone.deleted,
            space_freed_gb: gigabytes(gone.freed_bytes),
            space_freed_bytes: gone.freed_bytes,
            errors: gone.errors.into_iter().map(convert).collect(),
        }
    }
}

/// What a scan of the models folder found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rescanned {
    /// How many files there are.
    pub files: u64,
    /// Their size in units of 2^30 bytes.
    pub total_size_gb: f64,
    /// Their size.
    pub total_size_bytes: u64,
    /// Files that were not known before.
    pub added: u64,
    /// Known files that are gone.
    pub removed: u64,
}

impl From<view::Rescanned> for Rescanned {
    fn from(found: view::Rescanned) -> Self {
        Self {
            files: found.files,
            total_size_gb: gigabytes(found.bytes),
            total_size_bytes: found.bytes,
            added: found.added,
            removed: found.removed,
        }
    }
}

/// Which files to repair.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ModelsRepairRequest {
    /// Below the models folder; at least one.
    #[schema(min_items = 1)]
    pub paths: Vec<String>,
}

/// A file that cannot be repaired.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotRepairable {
    /// As given.
    pub path: String,
    /// Why, as a sentence.
    pub error: String,
}

/// A repair that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepairStarted {
    /// The download that does it.
    pub download_id: String,
    /// The files that it works on.
    pub paths: Vec<String>,
    /// Files that cannot be repaired.
    pub errors: Vec<NotRepairable>,
}

impl From<service::downloads::RepairStarted> for RepairStarted {
    fn from(started: service::downloads::RepairStarted) -> Self {
        let refused = |(path, error)| NotRepairable { path, error };
        Self {
            download_id: started.download_id,
            paths: started.paths,
            errors: started.errors.into_iter().map(refused).collect(),
        }
    }
}
