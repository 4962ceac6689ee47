//! The only one that speaks with ComfyUI about our prompts: hands them over a few at a time, hears how they go, and settles
//! what became of each. The database first, then the event.
//!
//! A round looks at ComfyUI's queue and brings it and ours together. It begins when somebody wishes something, when the
//! socket says that something changed, and every few seconds: what the socket missed, the next round finds.

mod hand_over;
mod hear;
mod settle;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use comfy_client::{ComfyError, ComfyEvent, Queue};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    comfy::{Socket, StallLimits},
    prompts::store::PromptRow,
    prompts::{PromptState, Prompts, QueueFigures},
};
use settle::Sighting;

/// How long to wait before a failed statement of the database is tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// What the task knows beside the database; all of it may be lost.
struct Courier {
    prompts: Prompts,
    /// Grows whenever the socket is made or lost.
    epoch: u64,
    /// When the socket last said anything.
    heard: Option<Instant>,
    /// When each prompt was last seen in ComfyUI's queue.
    seen: HashMap<String, Sighting>,
    /// Since when each prompt is in neither queue nor history.
    missing: HashMap<String, Instant>,
    /// What ComfyUI said when it failed to take a prompt.
    troubles: HashMap<String, String>,
    /// Prompts that ComfyUI was told to interrupt.
    interrupted: HashSet<String>,
    /// When ComfyUI was last told to drop each prompt from its queue.
    dropped: HashMap<String, Instant>,
    /// Prompts of other clients that were in the queue.
    foreign: HashSet<String>,
    /// The prompt that runs.
    current: Option<String>,
    /// The highest number that a prompt was handed over with.
    last_number: f64,
    /// Something was done whose effect has to be looked at.
    look_again: bool,
}

/// Why a round ended early.
enum Stopped {
    /// ComfyUI does not answer; the next round tries again.
    Unavailable(ComfyError),
    /// Ours.
    Fault(Error),
}

impl From<ComfyError> for Stopped {
    fn from(cause: ComfyError) -> Self {
        Self::Unavailable(cause)
    }
}

impl From<Error> for Stopped {
    fn from(cause: Error) -> Self {
        Self::Fault(cause)
    }
}

/// Works until the token is cancelled.
pub(crate) async fn run(
    prompts: Prompts,
    mut events: mpsc::Receiver<ComfyEvent>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut courier = Courier::new(prompts);
    loop {
        let number = courier.prompts.rounds.begin();
        let pause = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            pause = courier.round() => pause,
        };
        courier.prompts.rounds.end(number);
        let deadline = tokio::time::sleep(pause);
        tokio::pin!(deadline);
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = courier.prompts.rounds.asked() => break,
                () = &mut deadline => break,
                event = events.recv() => event,
            };
            let Some(event) = event else { return Ok(()) };
            let mut wants_round = courier.hear(event).await;
            while let Ok(event) = events.try_recv() {
                wants_round |= courier.hear(event).await;
            }
            if wants_round {
                break;
            }
        }
    }
}

impl Courier {
    fn new(prompts: Prompts) -> Self {
        Self {
            prompts,
            epoch: 0,
            heard: None,
            seen: HashMap::new(),
            missing: HashMap::new(),
            troubles: HashMap::new(),
            interrupted: HashSet::new(),
            dropped: HashMap::new(),
            foreign: HashSet::new(),
            current: None,
            last_number: 0.0,
            look_again: false,
        }
    }

    /// One round; the answer is how long until the next one, if nothing happens.
    async fn round(&mut self) -> Duration {
        self.look_again = false;
        match self.bring_together().await {
            Ok(()) if self.look_again => Duration::ZERO,
            Ok(()) => self.pause(),
            Err(Stopped::Unavailable(cause)) => {
                tracing::debug!(error = %cause, "ComfyUI could not be asked for its queue");
                self.tell_ours_only().await;
                self.prompts.comfy.settings.look_interval
            }
            Err(Stopped::Fault(cause)) => {
                tracing::error!(error = ?cause, "the queue of prompts could not be read or written; trying again");
                WRITE_PAUSE
            }
        }
    }

    async fn bring_together(&mut self) -> Result<(), Stopped> {
        let looked_at = Instant::now();
        let queue = self.prompts.comfy.client.queue().await?;
        let rows = self.prompts.store.unfinished_prompts().await?;
        self.settle(&rows, &queue).await?;
        self.keep_foreign(&rows, &queue).await?;
        let queue = self.hand_over(queue).await?;
        let rows = self.prompts.store.unfinished_prompts().await?;
        self.forget_the_ended(&rows, &queue);
        self.tell_figures(&rows, &queue).await?;
        self.judge(&rows, &queue, looked_at);
        Ok(())
    }

    /// Whether ComfyUI is stuck. Frames tell of our own prompts only, and only while the socket is open.
    fn judge(&self, rows: &[PromptRow], queue: &Queue, looked_at: Instant) {
        let comfy = &self.prompts.comfy;
        let running: Vec<&str> = queue.running.iter().map(|row| row.prompt_id.as_str()).collect();
        let is_ours = rows.iter().any(|row| running.contains(&row.id.as_str()));
        let is_open = comfy.link().socket() == Socket::Open;
        let silent_for = self.heard.filter(|_| is_ours && is_open).map(|heard| heard.elapsed());
        let limits =
            StallLimits { interrupt: comfy.settings.interrupt_timeout, silence: comfy.settings.silence_timeout };
        comfy.link().judge(&running, looked_at, silent_for, limits);
    }

    /// The sooner the more there is to miss.
    fn pause(&self) -> Duration {
        let settings = &self.prompts.comfy.settings;
        if !self.missing.is_empty() {
            settings.missing_for
        } else if self.prompts.figures().pending > 0 || self.current.is_some() {
            settings.look_interval
        } else {
            settings.probe_interval
        }
    }

    async fn tell_figures(&mut self, rows: &[PromptRow], queue: &Queue) -> Result<(), Error> {
        let there = |id: &str| queue.running.iter().chain(&queue.pending).any(|row| row.prompt_id == id);
        let here = rows.iter().filter(|row| !there(&row.id)).count();
        let current = match queue.running.first() {
            None => None,
            Some(row) => {
                let ours = rows.iter().find(|own| own.id == row.prompt_id).map(|own| own.kind.clone());
                let kind = match ours {
                    Some(kind) => kind,
                    None => self.prompts.kind_of(row).await,
                };
                Some((row.prompt_id.clone(), kind))
            }
        };
        self.current = current.as_ref().map(|(id, _)| id.clone());
        self.prompts.tell_figures(QueueFigures {
            pending: (queue.pending.len() + here) as u64,
            running: queue.running.len() as u64,
            is_paused: self.prompts.store.is_queue_paused().await?,
            current,
        });
        Ok(())
    }

    /// What is known of the queue while ComfyUI says nothing.
    async fn tell_ours_only(&mut self) {
        let (Ok(rows), Ok(is_paused)) =
            (self.prompts.store.unfinished_prompts().await, self.prompts.store.is_queue_paused().await)
        else {
            return;
        };
        let running = rows.iter().filter(|row| row.stage.state() == PromptState::Running).count();
        let pending = (rows.len() - running) as u64;
        self.prompts.tell_figures(QueueFigures { pending, running: running as u64, is_paused, current: None });
    }

    fn forget_the_ended(&mut self, rows: &[PromptRow], queue: &Queue) {
        let lives = |id: &String| rows.iter().any(|row| row.id == *id);
        let is_there = |id: &String| queue.running.iter().chain(&queue.pending).any(|row| row.prompt_id == *id);
        self.seen.retain(|id, _| lives(id));
        self.missing.retain(|id, _| lives(id));
        self.troubles.retain(|id, _| lives(id));
        self.interrupted.retain(|id| lives(id) || is_there(id));
        self.dropped.retain(|id, _| lives(id) || is_there(id));
        self.prompts.runs().retain(|id, _| lives(id));
    }
}
