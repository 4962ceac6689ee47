//! Accepting a prompt: checked, kept, and only then answered.

use comfy_client::{Fault, graph::is_ui_format, requirements::media_kind};
use serde_json::{Map, Value, json};

use super::{End, GraphToRun, NewPrompt, PromptAccepted, Prompts, Stage, WhenUnavailable, prepare::Wanted};
use crate::{
    Error, RefusedWorkflow, ids,
    prompts::store::{PromptInsert, Queued},
    workflows::graph_in,
};

impl Prompts {
    /// Keeps a prompt and says under which id it will run. Where ComfyUI takes it at once, its own judgement is the answer.
    pub async fn execute(&self, new: NewPrompt) -> Result<PromptAccepted, Error> {
        // The cheapest question: what is remembered of ComfyUI says nothing of whether it is there.
        let comfyui_answers = match self.comfy.client.system_stats().await {
            Ok(_) => true,
            Err(cause) if cause.is_unavailable() && new.when_unavailable == WhenUnavailable::Queue => false,
            Err(cause) => return Err(cause.into()),
        };
        let (given, workflow_id) = self.graph_of(new.graph).await?;
        let wanted = Wanted { fix_paths: new.fix_paths, targets: new.targets.as_deref() };
        let prepared = match comfyui_answers {
            true => self.prepare(&given, wanted).await?,
            false => self.prepare_unasked(&given, wanted).await?,
        };
        let extra_data = extra_data(new.extra_data, &given);
        let insert = PromptInsert {
            id: ids::new_prompt_id(),
            priority: new.priority,
            kind: media_kind(&prepared.graph, &prepared.object_info).as_str().to_owned(),
            workflow_id,
            client_id: new.client_id,
            graph: Value::Object(prepared.graph).to_string(),
            extra_data: extra_data.map(|data| Value::Object(data).to_string()),
            targets: new.targets.map(|targets| Value::from(targets).to_string()),
            created_at: self.clock.now(),
        };
        let limit = self.comfy.settings.max_queue;
        let number = match self.store.insert_prompt(&insert, limit).await? {
            Queued::Number(number) => number,
            Queued::Full(waiting) => return Err(Error::QueueFull { waiting, limit: limit.into() }),
        };
        tracing::info!(prompt = %insert.id, number, priority = insert.priority, "a prompt was accepted");
        let said = match comfyui_answers {
            true => self.first_word(&insert.id, number, insert.priority, &prepared.doubts).await?,
            false => None,
        };
        let mut warnings = prepared.warnings;
        if said.is_none() {
            self.rounds.ask();
            warnings.extend(prepared.doubts.iter().map(ToString::to_string));
        }
        Ok(PromptAccepted {
            prompt_id: insert.id,
            number,
            warnings,
            fixed_paths: prepared.fixed_paths,
            node_errors: said.unwrap_or(Value::Null),
            comfyui_answers,
        })
    }

    async fn graph_of(&self, graph: GraphToRun) -> Result<(Value, Option<String>), Error> {
        match graph {
            GraphToRun::Given(given) => Ok((graph_in(given)?, None)),
            GraphToRun::Stored(id) => {
                let detail = self.workflows.get(&id).await?;
                Ok((graph_in((*detail.workflow).clone())?, Some(id)))
            }
        }
    }

    /// What ComfyUI says of a prompt whose turn it is already: its errors by node, where some outputs are left out; a refusal is
    /// an error. `None` where it has said nothing yet.
    async fn first_word(&self, id: &str, number: u64, priority: u32, doubts: &[Fault]) -> Result<Option<Value>, Error> {
        let ahead = self.store.prompts_ahead_of(number, priority).await?;
        if ahead >= u64::from(self.comfy.settings.ahead) {
            return Ok(None);
        }
        self.rounds.after(self.comfy.settings.timeout).await;
        let Some(row) = self.store.prompt(id).await? else { return Ok(None) };
        match row.failure {
            Some(failure) if row.stage == Stage::Ended(End::Failed) && !failure.error.is_null() => {
                let (error, node_errors) = (failure.error, failure.node_errors);
                let faults = doubts.to_vec();
                Err(Error::InvalidWorkflow(Box::new(RefusedWorkflow { faults, error, node_errors })))
            }
            _ if matches!(row.stage, Stage::Waiting { .. } | Stage::Sent { .. }) => Ok(None),
            _ => Ok(Some(row.node_errors.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null))),
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
