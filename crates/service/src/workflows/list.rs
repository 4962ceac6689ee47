//! The list of workflows of all three origins: filtered, sorted, cut.

use std::sync::Arc;

use comfy_client::SavedWorkflow;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    WorkflowDetail, WorkflowOrigin, WorkflowQuery, WorkflowSort, WorkflowView, Workflows, etag_of, format_of,
    id::WorkflowId, templates::TEMPLATES,
};
use crate::{
    Error,
    page::{Page, sort_by_key},
    tasks::blocking,
};

/// The category of workflows that ComfyUI's own page saved.
const COMFY_CATEGORY: &str = "ComfyUI";

impl Workflows {
    /// The workflows that match. Those of ComfyUI's own page are among them while it answers.
    pub async fn list(&self, query: &WorkflowQuery) -> Result<Page<WorkflowView>, Error> {
        let folder = self.folder.clone();
        let mut views: Vec<WorkflowView> = TEMPLATES.iter().map(super::templates::Template::view).collect();
        views.extend(blocking(move || folder.list()).await?);
        views.extend(self.saved_by_comfy().await);
        let word = query.search.as_deref().map(str::to_lowercase);
        let has = |text: &str, word: &str| text.to_lowercase().contains(word);
        views.retain(|view| {
            query.category.as_deref().is_none_or(|category| view.category == category)
                && word.as_deref().is_none_or(|word| has(&view.name, word) || has(&view.description, word))
        });
        // What is equal in the wanted order follows in this one.
        views.sort_by(|left, right| (name_key(left), &left.id).cmp(&(name_key(right), &right.id)));
        match query.sort {
            WorkflowSort::Name => sort_by_key(&mut views, query.order, name_key),
            WorkflowSort::Category => sort_by_key(&mut views, query.order, |view| view.category.clone()),
            WorkflowSort::Modified => sort_by_key(&mut views, query.order, |view| view.modified),
            WorkflowSort::Source => sort_by_key(&mut views, query.order, |view| view.origin),
        }
        Ok(Page::cut(views, query.page))
    }

    /// A ComfyUI that is down or slow costs the list nothing but its own entries.
    async fn saved_by_comfy(&self) -> Vec<WorkflowView> {
        if self.comfy.seems_down() {
            return Vec::new();
        }
        match self.comfy.client.saved_workflows().await {
            Ok(saved) => saved.iter().filter(|saved| saved.path.ends_with(".json")).map(view_of_saved).collect(),
            Err(cause) => {
                tracing::debug!(error = %cause, "the workflows of ComfyUI's own page are not listed");
                Vec::new()
            }
        }
    }
}

/// A workflow of ComfyUI's own page with its graph.
pub(super) fn detail_of_saved(path: &str, graph: Value) -> WorkflowDetail {
    let saved = SavedWorkflow { path: path.to_owned(), size: None, modified_at_ms: None };
    WorkflowDetail {
        view: view_of_saved(&saved),
        format: format_of(&graph),
        etag: etag_of(&[graph.to_string().as_bytes()]),
        workflow: Arc::new(graph),
    }
}

fn view_of_saved(saved: &SavedWorkflow) -> WorkflowView {
    WorkflowView {
        id: WorkflowId::of_comfy(&saved.path),
        name: saved.path.strip_suffix(".json").unwrap_or(&saved.path).to_owned(),
        category: COMFY_CATEGORY.to_owned(),
        description: String::new(),
        preset: None,
        path: format!("comfyui/workflows/{}", saved.path),
        origin: WorkflowOrigin::Comfyui,
        size_bytes: saved.size,
        modified: saved.modified_at_ms.and_then(|at| Timestamp::from_millisecond(at).ok()),
    }
}

fn name_key(view: &WorkflowView) -> String {
    view.name.to_lowercase()
}
