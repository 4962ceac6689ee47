//! The one ComfyUI of this machine: its address, how it is, and the few things that are asked of it directly.
//!
//! Prompts go through `prompts`, files through `outputs`. Nothing here knows what a workflow is.

mod health;
mod link;
mod log_file;
mod logs;

use std::{path::PathBuf, sync::Arc, time::Duration};

use comfy_client::{Backoff, Client};
use tokio::sync::watch;
use url::Url;

pub use comfy_client::without_credentials;
pub use health::ComfyHealth;
pub use link::Socket;
pub(crate) use link::{Link, StallLimits};
pub(crate) use logs::ComfyLog;

use crate::{Error, system::ServiceState};

/// Where ComfyUI is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct ComfySettings {
    /// Its address.
    pub url: Url,
    /// The user of ComfyUI's `--multi-user` whose workflows are listed.
    pub user: Option<String>,
    /// Its log file; `None`: it is asked for its log.
    pub log_file: Option<PathBuf>,
    /// Most prompts that may wait and run.
    pub max_queue: u32,
    /// How many prompts of ours ComfyUI has at once, the running one included.
    pub ahead: u32,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often it is looked after.
    pub probe_interval: Duration,
    /// How often its log is read while somebody follows.
    pub log_interval: Duration,
    /// How often the queue is looked at while prompts of ours are in it.
    pub look_interval: Duration,
    /// How long a prompt has to be missing in ComfyUI until that is believed.
    pub missing_for: Duration,
    /// How its socket is kept.
    pub backoff: Backoff,
    /// After how long an interrupt without effect counts as ComfyUI being stuck.
    pub interrupt_timeout: Duration,
    /// After how long without a frame from a prompt that runs it counts as stuck. Some nodes say nothing while they load a
    /// large model or decode a long film.
    pub silence_timeout: Duration,
}

impl Default for ComfySettings {
    fn default() -> Self {
        Self {
            url: usual_address(),
            user: None,
            log_file: None,
            max_queue: 100,
            ahead: 2,
            timeout: Duration::from_secs(5),
            probe_interval: Duration::from_secs(5),
            log_interval: Duration::from_secs(2),
            look_interval: Duration::from_secs(2),
            missing_for: Duration::from_secs(1),
            backoff: Backoff::default(),
            interrupt_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(600),
        }
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant that a test reads too")]
fn usual_address() -> Url {
    Url::parse("http://127.0.0.1:8188").expect("a constant address")
}

/// ComfyUI. Cheap to clone.
#[derive(Clone)]
pub struct Comfy {
    pub(crate) client: Client,
    pub(crate) settings: Arc<ComfySettings>,
    pub(crate) health: watch::Sender<Arc<ComfyHealth>>,
    link: Link,
}

impl Comfy {
    pub(crate) fn new(settings: &ComfySettings) -> Result<Self, Error> {
        let client = Client::for_user(settings.url.clone(), settings.user.clone(), settings.timeout);
        let client = client.map_err(Error::internal)?;
        let health = watch::Sender::new(Arc::new(ComfyHealth::unknown()));
        Ok(Self { client, settings: Arc::new(settings.clone()), health, link: Link::default() })
    }

    /// Asks ComfyUI to let go of models, and of all memory it can, once nothing runs.
    pub async fn free(&self, unload_models: bool, free_memory: bool) -> Result<(), Error> {
        Ok(self.client.free(unload_models, free_memory).await?)
    }

    /// What is known of it beside its answers.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Stops what runs, and notes since when it should stop.
    pub(crate) async fn interrupt(&self, prompt_id: &str) -> Result<(), comfy_client::ComfyError> {
        self.link.interrupted(prompt_id);
        self.client.interrupt(Some(prompt_id)).await
    }

    /// How it was when it was last looked at.
    pub fn last_seen(&self) -> Arc<ComfyHealth> {
        self.health.borrow().clone()
    }

    /// Whether it did not answer when it was last looked at.
    pub(crate) fn seems_down(&self) -> bool {
        self.last_seen().state == ServiceState::Stopped
    }
}
