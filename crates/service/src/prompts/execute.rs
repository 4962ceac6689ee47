//! Accepting a prompt: checked, kept, and only then answered.

use comfy_client::{graph::is_ui_format, requirements::media_kind};
use serde_json::{Map, Value, json};

use super::{End, GraphToRun, NewPrompt, PromptAccepted, Prompts, Stage};
use crate::{
    Error, RefusedWorkflow, ids,
    store::{PromptInsert, Queued},
};

impl Prompts {
    /// Keeps a prompt and says under which id it will run. Where ComfyUI takes it at once, its own refusal is the answer.
    pub async fn execute(&self, new: NewPrompt) -> Result<PromptAccepted, Error> {
        // The cheapest question: what is remembered of ComfyUI says nothing of whether it is there.
        self.comfy.client.system_stats().await?;
        let (given, workflow_id) = self.graph_of(new.graph).await?;
        let prepared = self.prepare(&given, new.fix_paths).await?;
        let extra_data = extra_data(new.extra_data, &given);
        let insert = PromptInsert {
            id: ids::new_prompt_id(),
            priority: new.priority,
            kind: media_kind(&prepared.graph, &prepared.object_info).as_str().to_owned(),
            workflow_id,
            client_id: new.client_id,
            graph: Value::Object(prepared.graph).to_string(),
            extra_data: extra_data.map(|data| Value::Object(data).to_string()),
            created_at: self.clock.now(),
        };
        let limit = self.comfy.settings.max_queue;
        let number = match self.store.insert_prompt(&insert, limit).await? {
            Queued::Number(number) => number,
            Queued::Full(waiting) => return Err(Error::QueueFull { waiting, limit: limit.into() }),
        };
        tracing::info!(prompt = %insert.id, number, priority = insert.priority, "a prompt was accepted");
        let node_errors = self.first_word(&insert.id, number, insert.priority).await?;
        Ok(PromptAccepted {
            prompt_id: insert.id,
            number,
            warnings: prepared.warnings,
            fixed_paths: prepared.fixed_paths,
            node_errors,
        })
    }

    async fn graph_of(&self, graph: GraphToRun) -> Result<(Value, Option<String>), Error> {
        match graph {
            GraphToRun::Given(graph) => Ok((graph, None)),
            GraphToRun::Stored(id) => {
                let detail = self.workflows.get(&id).await?;
                Ok(((*detail.workflow).clone(), Some(id)))
            }
        }
    }

    /// What ComfyUI says of a prompt whose turn it is already; a refusal is an error. Of one that waits it says nothing yet.
    async fn first_word(&self, id: &str, number: u64, priority: u32) -> Result<Value, Error> {
        let ahead = self.store.prompts_ahead_of(number, priority).await?;
        if ahead >= u64::from(self.comfy.settings.ahead) {
            self.rounds.ask();
            return Ok(Value::Null);
        }
        self.rounds.after(self.comfy.settings.timeout).await;
        let Some(row) = self.store.prompt(id).await? else { return Ok(Value::Null) };
        match row.failure {
            Some(failure) if row.stage == Stage::Ended(End::Failed) && !failure.error.is_null() => {
                let (error, node_errors) = (failure.error, failure.node_errors);
                Err(Error::InvalidWorkflow(Box::new(RefusedWorkflow { faults: Vec::new(), error, node_errors })))
            }
            _ => Ok(row.node_errors.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)),
        }
    }
}

/// ComfyUI's page sends the graph as it was saved beside the one that runs, so that pictures carry it; so do we.
fn extra_data(given: Option<Map<String, Value>>, graph: &Value) -> Option<Map<String, Value>> {
    if !is_ui_format(graph) {
        return given;
    }
    let mut data = given.unwrap_or_default();
    let notes = data.entry("extra_pnginfo").or_insert_with(|| json!({}));
    if let Some(notes) = notes.as_object_mut() {
        notes.entry("workflow").or_insert_with(|| graph.clone());
    }
    Some(data)
}
