//! Everything that the fake knows: its queue, its history, its sockets, its files, its mood.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use super::recorded;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    Well,
    Down,
    Hanging,
    Nonsense,
}

/// What all tasks of one fake share.
pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) temper: watch::Sender<Temper>,
    /// Grows when every connection has to go.
    pub(super) epoch: watch::Sender<u64>,
    /// Told of every change.
    pub(super) changed: Notify,
    /// Told when a prompt is put into the queue.
    pub(super) work: Notify,
    /// Whether the port is open, as the thread that serves it knows.
    pub(super) listening: AtomicBool,
    pub(super) held: AtomicBool,
    pub(super) permits: Semaphore,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The body, where it is JSON.
    pub body: Value,
    /// The header `Comfy-User`.
    pub user: Option<String>,
}

/// One prompt in the queue.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) number: f64,
    pub(super) prompt_id: String,
    pub(super) prompt: Value,
    pub(super) extra_data: Value,
    pub(super) outputs: Vec<String>,
}

pub(super) struct OpenSocket {
    pub(super) client_id: String,
    pub(super) frames: mpsc::UnboundedSender<Message>,
}

/// What it knows.
pub(super) struct World {
    pub(super) object_info: Value,
    pub(super) answers: Value,
    pub(super) step: Duration,
    pub(super) fail_next: Option<String>,
    pub(super) seen: Vec<Seen>,
    pub(super) overrides: HashMap<String, (u16, String, String)>,
    /// The value of `Authorization` that a proxy before it asks for.
    pub(super) authorization: Option<String>,
    /// A proxy before it decodes paths.
    pub(super) decodes_paths: bool,
    /// Every new WebSocket is refused.
    pub(super) refuses_sockets: bool,
    /// Nothing is interrupted.
    pub(super) is_deaf: bool,
    /// Paths that begin so are answered later.
    pub(super) held_answers: Option<String>,
    pub(super) running: Option<Queued>,
    pub(super) running_node: Option<String>,
    pub(super) interrupted: bool,
    pub(super) pending: Vec<Queued>,
    pub(super) history: Vec<(String, Value)>,
    pub(super) counter: u64,
    /// Grows with every restart, so that a prompt that ran across one is not kept.
    pub(super) life: u64,
    pub(super) sockets: BTreeMap<u64, OpenSocket>,
    pub(super) next_socket: u64,
    pub(super) files: BTreeMap<(String, String, String), Vec<u8>>,
    pub(super) workflows: BTreeMap<String, String>,
    pub(super) models: BTreeMap<String, Vec<String>>,
    /// Graphs that ran, for the cache.
    pub(super) ran: Vec<Value>,
    pub(super) saved_files: u64,
    ids: u64,
}

impl Shared {
    pub(super) fn new() -> Self {
        let world = World {
            object_info: recorded::object_info(),
            answers: recorded::answers(),
            step: Duration::from_millis(2),
            fail_next: None,
            seen: Vec::new(),
            overrides: HashMap::new(),
            authorization: None,
            decodes_paths: false,
            refuses_sockets: false,
            is_deaf: false,
            held_answers: None,
            running: None,
            running_node: None,
            interrupted: false,
            pending: Vec::new(),
            history: Vec::new(),
            counter: 0,
            life: 0,
            sockets: BTreeMap::new(),
            next_socket: 0,
            files: BTreeMap::new(),
            workflows: BTreeMap::new(),
            models: BTreeMap::new(),
            ran: Vec::new(),
            saved_files: 0,
            ids: 0,
        };
        Self {
            world: Mutex::new(world),
            temper: watch::Sender::new(Temper::Well),
            epoch: watch::Sender::new(0),
            changed: Notify::new(),
            work: Notify::new(),
            listening: AtomicBool::new(true),
            held: AtomicBool::new(false),
            permits: Semaphore::new(0),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_temper(&self, temper: Temper) {
        self.temper.send_replace(temper);
        if temper == Temper::Down {
            self.epoch.send_modify(|epoch| *epoch += 1);
            self.world().sockets.clear();
        }
        if temper == Temper::Well {
            self.world().overrides.clear();
            self.work.notify_one();
        }
        self.changed.notify_waiters();
        // Who called may rely on it: the next connection meets the new temper.
        let open = temper != Temper::Down;
        while self.listening.load(Ordering::SeqCst) != open {
            std::thread::yield_now();
        }
    }

    /// Waits while answers of this path are held.
    pub(super) async fn while_held(&self, path: &str) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.world().held_answers.as_deref().is_some_and(|held| path.starts_with(held)) {
                return;
            }
            changed.await;
        }
    }

    /// What a restart forgets; files stay on the disk.
    pub(super) fn forget(&self) {
        let mut world = self.world();
        world.running = None;
        world.running_node = None;
        world.interrupted = false;
        world.pending.clear();
        world.history.clear();
        world.ran.clear();
        world.counter = 0;
        world.life += 1;
        drop(world);
        self.changed.notify_waiters();
    }
}

impl World {
    pub(super) fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.ids)
    }

    /// Ids that run and wait, in order.
    pub(super) fn queued(&self) -> Vec<String> {
        let mut waiting: Vec<&Queued> = self.pending.iter().collect();
        waiting.sort_by(|one, other| {
            one.number.total_cmp(&other.number).then_with(|| one.prompt_id.cmp(&other.prompt_id))
        });
        self.running.iter().chain(waiting).map(|queued| queued.prompt_id.clone()).collect()
    }

    /// Takes the prompt that is next.
    pub(super) fn take_next(&mut self) -> Option<Queued> {
        let first = self.queued();
        let place = self.pending.iter().position(|queued| Some(&queued.prompt_id) == first.first())?;
        Some(self.pending.remove(place))
    }

    pub(super) fn queue_remaining(&self) -> usize {
        self.pending.len() + usize::from(self.running.is_some())
    }

    /// Tells every socket how long the queue is.
    pub(super) fn send_status(&self) {
        let data = json!({"status": {"exec_info": {"queue_remaining": self.queue_remaining()}}});
        self.send_to_all(&Message::text(json!({"type": "status", "data": data}).to_string()));
    }

    pub(super) fn send_to_all(&self, message: &Message) {
        for socket in self.sockets.values() {
            let _ = socket.frames.send(message.clone());
        }
    }

    pub(super) fn send_to(&self, client_id: &str, message: &Message) {
        for socket in self.sockets.values().filter(|socket| socket.client_id == client_id) {
            let _ = socket.frames.send(message.clone());
        }
    }

    pub(super) fn drop_sockets(&mut self) {
        self.sockets.clear();
    }

    pub(super) fn put_file(&mut self, folder: &str, subfolder: &str, name: &str, bytes: Vec<u8>) {
        self.files.insert((folder.to_owned(), subfolder.to_owned(), name.to_owned()), bytes);
    }
}

impl Queued {
    pub(super) fn row(&self) -> Value {
        json!([whole(self.number), self.prompt_id, self.prompt, self.extra_data, self.outputs])
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        self.extra_data.get("client_id").and_then(Value::as_str)
    }
}

/// Python writes whole numbers that came as such without a fraction.
pub(super) fn whole(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "numbers of prompts are small")]
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}

/// Now, in milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
