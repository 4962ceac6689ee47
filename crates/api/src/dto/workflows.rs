//! Workflows as JSON: the list, one with its graph, and what is sent to keep or change one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use service::page::{Order, Page};
use service::workflows as view;
use utoipa::{IntoParams, ToSchema};

use super::page::{ListPart, ListQuery, SortOrder, order_or};
use crate::error::{ApiError, ErrorCode};
use crate::extract::OfFile;

/// Which workflows are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WorkflowListQuery {
    /// Only this category. One that does not exist gives an empty list.
    #[param(example = "Video Generation")]
    category: Option<String>,
    /// What the name or the description must contain; case aside.
    search: Option<String>,
    /// What to sort by; without it, by name.
    #[param(inline)]
    sort: Option<WorkflowSort>,
    /// Which way to sort.
    #[param(inline)]
    order: Option<SortOrder>,
}

/// What a list of workflows can be sorted by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowSort {
    /// By name.
    Name,
    /// By category.
    Category,
    /// By when it was last written.
    Modified,
    /// By where it comes from.
    Source,
}

impl From<ListQuery<WorkflowListQuery>> for view::WorkflowQuery {
    fn from(ListQuery(query, page): ListQuery<WorkflowListQuery>) -> Self {
        Self {
            category: query.category,
            search: query.search,
            sort: match query.sort {
                None | Some(WorkflowSort::Name) => view::WorkflowSort::Name,
                Some(WorkflowSort::Category) => view::WorkflowSort::Category,
                Some(WorkflowSort::Modified) => view::WorkflowSort::Modified,
                Some(WorkflowSort::Source) => view::WorkflowSort::Source,
            },
            order: order_or(query.order, Order::Ascending),
            page,
        }
    }
}

/// A workflow in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Workflow {
    /// What it is called in addresses.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// What it does; empty where nobody says.
    pub description: String,
    /// The preset that has its models.
    pub preset: Option<String>,
    /// Where it lies.
    pub path: String,
    /// `template`, `user` or `comfyui`; only those of `user` can be changed.
    pub source: String,
    /// Size of its graph.
    pub size_bytes: Option<u64>,
    /// When it was last written.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub modified: Option<Timestamp>,
}

impl From<view::WorkflowView> for Workflow {
    fn from(view: view::WorkflowView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            category: view.category,
            description: view.description,
            preset: view.preset.as_ref().map(ToString::to_string),
            path: view.path,
            source: view.origin.as_str().to_owned(),
            size_bytes: view.size_bytes,
            modified: view.modified,
        }
    }
}

/// A part of the list of workflows.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkflowList {
    /// The workflows of this page.
    pub workflows: Vec<Workflow>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<Page<view::WorkflowView>> for WorkflowList {
    fn from(page: Page<view::WorkflowView>) -> Self {
        Self { part: ListPart::from(&page), workflows: page.items.into_iter().map(Workflow::from).collect() }
    }
}

/// A workflow with its graph.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkflowDetail {
    /// As in a list.
    #[serde(flatten)]
    pub about: Workflow,
    /// The graph as it was given.
    #[schema(value_type = Object)]
    pub workflow: Value,
    /// `api` or `ui`: as `/prompt` takes it, or as ComfyUI's page saves it.
    pub format: String,
    /// Changes with any byte of it; the `ETag` header has it in quotes.
    pub etag: String,
}

impl From<view::WorkflowDetail> for WorkflowDetail {
    fn from(detail: view::WorkflowDetail) -> Self {
        Self {
            about: detail.view.into(),
            workflow: (*detail.workflow).clone(),
            format: detail.format.as_str().to_owned(),
            etag: detail.etag,
        }
    }
}

/// A workflow to keep.
#[derive(Debug, Deserialize, ToSchema)]
pub struct WorkflowSaveRequest {
    /// Its name.
    pub name: String,
    /// Its category; without one `Custom`.
    pub category: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// The graph, in either format; any JSON object is kept.
    #[schema(value_type = Object)]
    pub workflow: Value,
}

/// What is said of a workflow that is saved from a file.
#[derive(Debug, Deserialize)]
pub struct SavedFileQuery {
    name: String,
    category: Option<String>,
    description: Option<String>,
}

impl OfFile for WorkflowSaveRequest {
    type Query = SavedFileQuery;

    fn of_file(workflow: Value, query: SavedFileQuery) -> Self {
        let SavedFileQuery { name, category, description } = query;
        Self { name, category, description, workflow }
    }
}

impl TryFrom<WorkflowSaveRequest> for view::NewWorkflow {
    type Error = ApiError;

    fn try_from(request: WorkflowSaveRequest) -> Result<Self, ApiError> {
        let WorkflowSaveRequest { name, category, description, workflow } = request;
        Ok(Self { name, category, description, workflow: graph(workflow)? })
    }
}

/// What to change of a workflow; keys that are absent change nothing.
#[derive(Debug, Deserialize, ToSchema)]
pub struct WorkflowUpdateRequest {
    /// Its name.
    pub name: Option<String>,
    /// Its category.
    pub category: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// The graph, in either format; any JSON object is kept.
    #[schema(value_type = Option<Object>)]
    pub workflow: Option<Value>,
}

/// What is changed of a workflow besides its graph, which comes from a file.
#[derive(Debug, Deserialize)]
pub struct ChangedFileQuery {
    name: Option<String>,
    category: Option<String>,
    description: Option<String>,
}

impl OfFile for WorkflowUpdateRequest {
    type Query = ChangedFileQuery;

    fn of_file(workflow: Value, query: ChangedFileQuery) -> Self {
        let ChangedFileQuery { name, category, description } = query;
        Self { name, category, description, workflow: Some(workflow) }
    }
}

impl TryFrom<WorkflowUpdateRequest> for view::WorkflowChange {
    type Error = ApiError;

    fn try_from(request: WorkflowUpdateRequest) -> Result<Self, ApiError> {
        let WorkflowUpdateRequest { name, category, description, workflow } = request;
        Ok(Self { name, category, description, workflow: workflow.map(graph).transpose()? })
    }
}

/// The graph that was given.
pub(super) fn graph(given: Value) -> Result<Map<String, Value>, ApiError> {
    match given {
        Value::Object(graph) => Ok(graph),
        _ => {
            Err(ApiError::new(ErrorCode::InvalidWorkflow, "A workflow is a JSON object").with("parameter", "workflow"))
        }
    }
}

/// A workflow that was kept or changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkflowSaved {
    /// Its id.
    pub id: String,
    /// `saved` or `updated`.
    pub status: String,
    /// Where it lies.
    pub path: String,
    /// Its tag now.
    pub etag: String,
}

impl WorkflowSaved {
    /// What was done, in the word for it.
    pub fn new(saved: view::WorkflowSaved, status: &str) -> Self {
        Self { id: saved.id, status: status.to_owned(), path: saved.path, etag: saved.etag }
    }
}

/// A workflow that is gone.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkflowDeleted {
    /// Always `deleted`.
    pub status: String,
    /// Its id.
    pub workflow_id: String,
}
