//! The client of one ComfyUI: every route that the product uses, one method each.
//!
//! Owns the addresses. Bodies are in `wire`, the exchange itself in `transport`. Does not retry and does not wait: who
//! asks decides what an unavailable ComfyUI means.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::bounded::Bounded;
use crate::error::{ComfyError, Trouble};
use crate::machine::{FolderPaths, LogLine, SavedWorkflow, SystemStats};
use crate::object_info::ObjectInfo;
use crate::prompt::{Execution, Queue, Submission, Submitted};
use crate::transport::{Limit, Transport};
use crate::wire::{WireAccepted, WireExecution, WireLogs, WireQueue, WireRejected, WireSaved, WireStats, submission};

/// Values of `/api/node_replacements` that are kept.
const REPLACEMENT_VALUES: usize = 200_000;
/// Values of a saved workflow; as many as a client may send us.
const WORKFLOW_VALUES: usize = 200_000;

/// One ComfyUI. Clones share connections and what is remembered of node types.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Transport,
    base: Url,
    object_info: Arc<RwLock<Option<Arc<ObjectInfo>>>>,
}

impl Client {
    /// A client of the ComfyUI at `base`. `timeout` bounds the connection and each wait for more of an answer.
    ///
    /// # Errors
    /// Only where the machine cannot make an HTTP client at all; nothing is asked yet.
    pub fn new(base: Url, timeout: Duration) -> Result<Self, ComfyError> {
        Self::for_user(base, None, timeout)
    }

    /// As `new`; `user` is the id of a user of `--multi-user`.
    ///
    /// # Errors
    /// As `new`.
    pub fn for_user(base: Url, user: Option<String>, timeout: Duration) -> Result<Self, ComfyError> {
        let transport = Transport::new(base.clone(), user, timeout)?;
        Ok(Self { transport, base, object_info: Arc::default() })
    }

    /// The address that it was made with.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Version, memory and devices; also the cheapest proof that ComfyUI is up.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn system_stats(&self) -> Result<SystemStats, ComfyError> {
        Ok(self.get::<WireStats>("/system_stats", &[], Limit::SMALL).await?.into())
    }

    /// All node types. Asked once and remembered until [`Client::forget_object_info`].
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn object_info(&self) -> Result<Arc<ObjectInfo>, ComfyError> {
        if let Some(known) = self.remembered_object_info() {
            return Ok(known);
        }
        let mut read: ObjectInfo = self.get("/object_info", &[], Limit::LARGE).await?;
        // Older servers know no replacements.
        let replacements: Option<Bounded<REPLACEMENT_VALUES>> =
            absent_is_none(self.get("/api/node_replacements", &[], Limit::LIST).await)?;
        read.set_replacements(&replacements.unwrap_or_default().value);
        let read = Arc::new(read);
        *self.object_info.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        Ok(read)
    }

    /// The node types that were asked for last, unless they were forgotten since.
    pub fn remembered_object_info(&self) -> Option<Arc<ObjectInfo>> {
        self.object_info.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the next [`Client::object_info`] ask again: after a restart, and when model files came or went.
    pub fn forget_object_info(&self) {
        *self.object_info.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What runs and what waits, of all clients.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn queue(&self) -> Result<Queue, ComfyError> {
        Ok(self.get::<WireQueue>("/queue", &[], Limit::LARGE).await?.into())
    }

    /// What became of a prompt; `None` while it waits or runs, and where ComfyUI has forgotten it.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn history(&self, prompt_id: &str) -> Result<Option<Execution>, ComfyError> {
        let mut url = self.transport.url("/history", &[]);
        if let Ok(mut segments) = url.path_segments_mut() {
            // One segment, whatever the id contains.
            segments.push(prompt_id);
        }
        let found = absent_is_none(self.transport.call_url(Method::GET, url).read(Limit::LARGE).await)?;
        let mut found: BTreeMap<String, WireExecution> = found.unwrap_or_default();
        Ok(found.remove(prompt_id).map(Execution::from))
    }

    /// Hands in a prompt.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`]; then it is not known whether ComfyUI took it. A prompt that ComfyUI refuses is
    /// [`Submitted::Rejected`].
    pub async fn submit(&self, prompt: &Submission) -> Result<Submitted, ComfyError> {
        let answer = self.transport.call(Method::POST, "/prompt", &[]).json(&submission(prompt)).send().await?;
        if answer.status() == 400 {
            let WireRejected { error, node_errors } = answer.json(Limit::LIST).await?;
            return Ok(Submitted::Rejected { error: error.value, node_errors: node_errors.value });
        }
        let WireAccepted { prompt_id, number, node_errors } = answer.successful().await?.json(Limit::LIST).await?;
        Ok(Submitted::Accepted { prompt_id, number, node_errors: node_errors.value })
    }

    /// Stops what runs: that prompt only, where one is named and ComfyUI is new enough to look, else whatever it is.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn interrupt(&self, prompt_id: Option<&str>) -> Result<(), ComfyError> {
        let body = prompt_id.map_or_else(|| json!({}), |id| json!({"prompt_id": id}));
        self.post("/interrupt", &body).await
    }

    /// Takes waiting prompts out of the queue; ids that do not wait are passed over.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn delete_from_queue(&self, prompt_ids: &[&str]) -> Result<(), ComfyError> {
        self.post("/queue", &json!({"delete": prompt_ids})).await
    }

    /// Takes all waiting prompts out of the queue, those of other clients too.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn clear_queue(&self) -> Result<(), ComfyError> {
        self.post("/queue", &json!({"clear": true})).await
    }

    /// Makes ComfyUI forget finished prompts.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn delete_from_history(&self, prompt_ids: &[&str]) -> Result<(), ComfyError> {
        self.post("/history", &json!({"delete": prompt_ids})).await
    }

    /// Makes ComfyUI forget all finished prompts.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn clear_history(&self) -> Result<(), ComfyError> {
        self.post("/history", &json!({"clear": true})).await
    }

    /// Asks ComfyUI to let go of models, and of all memory it can, once nothing runs.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn free(&self, unload_models: bool, free_memory: bool) -> Result<(), ComfyError> {
        self.post("/free", &json!({"unload_models": unload_models, "free_memory": free_memory})).await
    }

    /// Names of the folders of models (`checkpoints`, `loras`).
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn model_folders(&self) -> Result<Vec<String>, ComfyError> {
        self.get("/models", &[], Limit::SMALL).await
    }

    /// Names of the files in one folder of models, subfolders included; `None` where there is no such folder.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn models(&self, folder: &str) -> Result<Option<Vec<String>>, ComfyError> {
        absent_is_none(self.get(&format!("/models/{folder}"), &[], Limit::LIST).await)
    }

    /// Where ComfyUI looks for models, on its own machine; `None` where it is too old to say.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn folder_paths(&self) -> Result<Option<FolderPaths>, ComfyError> {
        absent_is_none(self.get("/internal/folder_paths", &[], Limit::SMALL).await)
    }

    /// The workflows that ComfyUI's own page saved; none where it never saved one.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn saved_workflows(&self) -> Result<Vec<SavedWorkflow>, ComfyError> {
        let query = [("dir", "workflows"), ("recurse", "true"), ("full_info", "true"), ("split", "false")];
        let found: Option<Vec<WireSaved>> = absent_is_none(self.get("/userdata", &query, Limit::LIST).await)?;
        Ok(found.into_iter().flatten().map(SavedWorkflow::from).collect())
    }

    /// One workflow that ComfyUI's own page saved; `path` as [`Client::saved_workflows`] gives it.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn saved_workflow(&self, path: &str) -> Result<Option<Value>, ComfyError> {
        let found = self.userdata(&format!("workflows/{path}")).await?;
        if found.is_some() {
            return Ok(found);
        }
        // A proxy that decodes paths turns `%2F` into a slash, under which ComfyUI has nothing; it decodes twice itself.
        self.userdata(&format!("workflows%2F{}", path.replace('/', "%2F"))).await
    }

    async fn userdata(&self, file: &str) -> Result<Option<Value>, ComfyError> {
        let mut url = self.transport.url("/userdata", &[]);
        if let Ok(mut segments) = url.path_segments_mut() {
            // One segment: the server wants the slashes within it escaped.
            segments.push(file);
        }
        let call = self.transport.call_url(Method::GET, url);
        let found: Option<Bounded<WORKFLOW_VALUES>> = absent_is_none(call.read(Limit::LIST).await)?;
        match found {
            Some(found) if found.is_cut => Err(ComfyError::Unavailable {
                tried: format!("GET /userdata/{file}"),
                cause: Trouble::TooLarge { limit: WORKFLOW_VALUES },
            }),
            found => Ok(found.map(|found| found.value)),
        }
    }

    /// The last lines of ComfyUI's log, oldest first; `None` where it is too old to tell.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn logs(&self) -> Result<Option<Vec<LogLine>>, ComfyError> {
        Ok(absent_is_none(self.get::<WireLogs>("/internal/logs/raw", &[], Limit::LIST).await)?.map(Vec::from))
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: Limit,
    ) -> Result<T, ComfyError> {
        self.transport.call(Method::GET, path, query).read(limit).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), ComfyError> {
        self.transport.call(Method::POST, path, &[]).json(body).done().await
    }
}

/// A missing route or thing is an answer, not a failure.
pub(crate) fn absent_is_none<T>(found: Result<T, ComfyError>) -> Result<Option<T>, ComfyError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(ComfyError::Unsupported { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
