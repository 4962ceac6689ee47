//! What workflows look like to those who ask, and what can be asked.

use std::sync::Arc;

use jiff::Timestamp;
use registry::PresetId;
use serde_json::{Map, Value};

use crate::page::{Order, PageRequest};

/// Where a workflow comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkflowOrigin {
    /// Shipped; read-only.
    Template,
    /// Saved here, or put into the folder by hand.
    User,
    /// Saved by ComfyUI's own page; read-only.
    Comfyui,
}

impl WorkflowOrigin {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::User => "user",
            Self::Comfyui => "comfyui",
        }
    }
}

/// In which of its two formats a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowFormat {
    /// As `/prompt` takes it.
    Api,
    /// As ComfyUI's page saves it.
    Ui,
}

impl WorkflowFormat {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ui => "ui",
        }
    }
}

/// A workflow in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowView {
    /// Opaque and URL-safe.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// What it does; empty where nobody says.
    pub description: String,
    /// The preset that has its models.
    pub preset: Option<PresetId>,
    /// Where it lies: `workflows/user/custom_….json`.
    pub path: String,
    /// Where it comes from.
    pub origin: WorkflowOrigin,
    /// Bytes of its graph, where known.
    pub size_bytes: Option<u64>,
    /// When it was last written, where known.
    pub modified: Option<Timestamp>,
}

/// A workflow with its graph.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowDetail {
    /// As in a list.
    pub view: WorkflowView,
    /// The graph as it was given.
    pub workflow: Arc<Value>,
    /// Its format.
    pub format: WorkflowFormat,
    /// Changes with any byte of it.
    pub etag: String,
}

/// A workflow to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWorkflow {
    /// Its name.
    pub name: String,
    /// Its category; without one `Custom`.
    pub category: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// The graph, in either format.
    pub workflow: Map<String, Value>,
}

/// What to change of a workflow; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkflowChange {
    /// Its name.
    pub name: Option<String>,
    /// Its category.
    pub category: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// The graph.
    pub workflow: Option<Map<String, Value>>,
}

/// A workflow that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowSaved {
    /// Its id.
    pub id: String,
    /// Where it lies.
    pub path: String,
    /// Its tag.
    pub etag: String,
}

/// What a list of workflows is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkflowSort {
    /// By name, case aside.
    #[default]
    Name,
    /// By category, then name.
    Category,
    /// By when it was last written.
    Modified,
    /// By where it comes from, then name.
    Source,
}

/// Which workflows are wanted.
#[derive(Debug, Clone, Default)]
pub struct WorkflowQuery {
    /// Exactly this category.
    pub category: Option<String>,
    /// In the name or the description, case aside.
    pub search: Option<String>,
    /// What to sort by.
    pub sort: WorkflowSort,
    /// Which way.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}
