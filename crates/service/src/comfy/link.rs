//! What is known of ComfyUI beside its answers: whether its socket is open, and whether it is stuck. Pure but for the clock of
//! the runtime.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// ComfyUI's socket, through which progress and previews come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Socket {
    /// It was not tried yet.
    #[default]
    Untried,
    /// It is open.
    Open,
    /// It is closed, or could not be opened.
    Closed {
        /// Why.
        cause: String,
    },
}

/// What is known of the connection. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Link(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    socket: Socket,
    /// The cause that the log has already.
    logged: Option<String>,
    /// Since when a prompt should stop.
    interrupted: HashMap<String, Instant>,
    stuck: Option<String>,
}

impl Link {
    pub(crate) fn opened(&self) {
        let mut known = self.known();
        (known.socket, known.logged) = (Socket::Open, None);
    }

    /// `true` where the log should have it: ComfyUI answers otherwise, and this cause is news.
    pub(crate) fn closed(&self, cause: &str, comfyui_answers: bool) -> bool {
        let mut known = self.known();
        known.socket = Socket::Closed { cause: cause.to_owned() };
        let is_news = comfyui_answers && known.logged.as_deref() != Some(cause);
        if is_news {
            known.logged = Some(cause.to_owned());
        }
        is_news
    }

    pub(crate) fn socket(&self) -> Socket {
        self.known().socket.clone()
    }

    pub(crate) fn interrupted(&self, prompt_id: &str) {
        self.known().interrupted.entry(prompt_id.to_owned()).or_insert_with(Instant::now);
    }

    /// Why ComfyUI counts as stuck; `None` where it does not.
    pub(crate) fn stuck(&self) -> Option<String> {
        self.known().stuck.clone()
    }

    /// Judges whether it is stuck, by the prompts that ran at `looked_at` and by how long the one of ours among them has said
    /// nothing. A prompt that was interrupted since then may have begun after that look.
    pub(crate) fn judge(
        &self,
        running: &[&str],
        looked_at: Instant,
        silent_for: Option<Duration>,
        limits: StallLimits,
    ) {
        let mut known = self.known();
        known.interrupted.retain(|id, since| running.contains(&id.as_str()) || *since >= looked_at);
        let ignored = known.interrupted.values().map(Instant::elapsed).max().filter(|since| *since >= limits.interrupt);
        let silent = silent_for.filter(|since| *since >= limits.silence);
        let stuck = match (ignored, silent) {
            (Some(since), _) => Some(format!(
                "a prompt runs on though it was interrupted {} s ago; ComfyUI may have to be restarted",
                since.as_secs()
            )),
            (None, Some(since)) => Some(format!("a prompt runs and has told nothing for {} s", since.as_secs())),
            (None, None) => None,
        };
        match (&known.stuck, &stuck) {
            (None, Some(words)) => tracing::warn!(cause = %words, "ComfyUI seems to be stuck"),
            (Some(_), None) => tracing::info!("ComfyUI goes on"),
            _ => {}
        }
        known.stuck = stuck;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After how long ComfyUI counts as stuck.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallLimits {
    pub(crate) interrupt: Duration,
    pub(crate) silence: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupt_outlives_a_look_from_before_its_prompt_began() {
        let limits = |interrupt| StallLimits { interrupt, silence: Duration::MAX };
        let (link, looked_at) = (Link::default(), Instant::now());
        link.interrupted("theirs");
        link.judge(&[], looked_at, None, limits(Duration::MAX));
        link.judge(&["theirs"], Instant::now(), None, limits(Duration::ZERO));
        assert!(link.stuck().is_some());
        link.judge(&[], Instant::now() + Duration::from_secs(1), None, limits(Duration::ZERO));
        assert_eq!(link.stuck(), None);
    }
}
