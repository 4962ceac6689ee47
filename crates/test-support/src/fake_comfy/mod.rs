//! A ComfyUI that answers as a recorded one does, over a real socket, and misbehaves on order.
//!
//! It keeps a queue, runs prompts by counting (nothing is computed), keeps a history, and routes socket frames to the
//! client that submitted, as ComfyUI 0.3.64 does. It knows that version's 363 node types, among them `ProbeSleep`, which
//! counts `steps`, and `ProbeFail`, which fails.

mod execution;
mod http;
mod recorded;
mod routes;
mod socket;
mod validation;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_tungstenite::tungstenite::Message;

pub use world::Seen;
use world::{Shared, Temper};

/// A handle on a running fake; clones share it, and the last one to go stops it.
#[derive(Clone)]
pub struct FakeComfy(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeComfy {
    /// Starts on a free port of 127.0.0.1. Panics if there is none.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts on this port of 127.0.0.1 (0: a free one). Panics if it is taken.
    #[must_use]
    pub fn start_on(port: u16) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::new());
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("fake-comfy-{}", address.port()))
            .spawn(move || run(listener, address, for_thread, stopped))
            .expect("a thread can be started");
        Self(Arc::new(Running { shared, address, stop: Some(stop), thread: Some(thread) }))
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

/// How prompts run.
impl FakeComfy {
    /// Every step of a node takes so long; 2 ms at first.
    pub fn set_step(&self, step: Duration) {
        self.shared().world().step = step;
    }

    /// From now on nothing moves but by [`FakeComfy::steps`].
    pub fn hold(&self) {
        self.shared().held.store(true, Ordering::SeqCst);
    }

    /// Lets so many steps happen while held: each start of a node and each count within it is one.
    pub fn steps(&self, count: usize) {
        self.shared().permits.add_permits(count);
    }

    /// Ends the hold.
    pub fn go_on(&self) {
        self.shared().held.store(false, Ordering::SeqCst);
        self.shared().permits.add_permits(1);
    }

    /// The next prompt to run fails at its first node with that message.
    pub fn fail_next(&self, message: &str) {
        self.shared().world().fail_next = Some(message.to_owned());
    }

    /// Puts a file where `/view` finds it.
    pub fn put_file(&self, folder: &str, subfolder: &str, name: &str, bytes: &[u8]) {
        self.shared().world().put_file(folder, subfolder, name, bytes.to_vec());
    }

    /// Saves a workflow as ComfyUI's page does, under the user's `workflows`.
    pub fn save_workflow(&self, path: &str, workflow: &Value) {
        self.shared().world().workflows.insert(path.to_owned(), workflow.to_string());
    }

    /// Makes `/models/FOLDER` list these names.
    pub fn set_models(&self, folder: &str, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.shared().world().models.insert(folder.to_owned(), names);
    }

    /// Changes what `/object_info` says.
    pub fn edit_object_info(&self, edit: impl FnOnce(&mut Value)) {
        edit(&mut self.shared().world().object_info);
    }
}

/// Misbehaviour.
impl FakeComfy {
    /// Closes the listener and every connection: connections are refused. What it knows stays, nothing runs on.
    pub fn go_down(&self) {
        self.shared().set_temper(Temper::Down);
    }

    /// Takes connections and requests and never answers; sockets stay open and silent.
    pub fn hang(&self) {
        self.shared().set_temper(Temper::Hanging);
    }

    /// Answers every request with a web page of another program.
    pub fn talk_nonsense(&self) {
        self.shared().set_temper(Temper::Nonsense);
    }

    /// Behaves again.
    pub fn behave(&self) {
        self.shared().set_temper(Temper::Well);
    }

    /// Goes down, forgets queue, history and counters, and comes back.
    pub fn restart(&self) {
        self.shared().set_temper(Temper::Down);
        self.shared().forget();
        self.shared().set_temper(Temper::Well);
    }

    /// Closes every WebSocket; requests go on.
    pub fn drop_sockets(&self) {
        self.shared().world().drop_sockets();
    }

    /// A proxy before it asks for this value of `Authorization`, and answers with a page of its own without it.
    pub fn ask_for_authorization(&self, value: &str) {
        self.shared().world().authorization = Some(value.to_owned());
    }

    /// A proxy before it decodes paths, as nginx does where its `proxy_pass` has a path of its own.
    pub fn decode_paths(&self) {
        self.shared().world().decodes_paths = true;
    }

    /// Closes every WebSocket and refuses new ones; requests go on.
    pub fn refuse_sockets(&self) {
        let mut world = self.shared().world();
        world.refuses_sockets = true;
        world.drop_sockets();
    }

    /// Accepts interrupts and does not stop.
    pub fn ignore_interrupts(&self) {
        self.shared().world().is_deaf = true;
    }

    /// Sends every WebSocket broken JSON, an unknown kind of frame, JSON of a wrong shape and stray bytes.
    pub fn send_garbage(&self) {
        let texts = [
            "{\"type\": \"status\", \"data\":",
            "nonsense",
            "[]",
            "null",
            r#"{"type": "crystools.monitor", "data": {"cpu": 7}}"#,
            r#"{"type": "progress", "data": {"value": "seven"}}"#,
            r#"{"type": "executing"}"#,
        ];
        let bytes: [&[u8]; 4] = [&[], &[0, 0], &[0, 0, 0, 9, 1, 2], &[0, 0, 0, 4, 255, 255, 255, 255]];
        let world = self.shared().world();
        texts.iter().for_each(|text| world.send_to_all(&Message::text(*text)));
        bytes.iter().for_each(|bytes| world.send_to_all(&Message::binary(bytes.to_vec())));
    }

    /// Sends a frame to every WebSocket, whoever it belongs to.
    pub fn send_frame(&self, frame: &Value) {
        self.shared().world().send_to_all(&Message::text(frame.to_string()));
    }

    /// Sends a preview of a node to the sockets of a client, with its metadata as newer servers do.
    pub fn send_preview(&self, client_id: &str, prompt_id: &str, node: &str, image: &[u8]) {
        let about = serde_json::json!({"node_id": node, "prompt_id": prompt_id, "image_type": "image/png"}).to_string();
        let length = u32::try_from(about.len()).expect("a short text");
        let mut frame = vec![0, 0, 0, 4];
        frame.extend(length.to_be_bytes());
        frame.extend(about.as_bytes());
        frame.extend(image);
        self.shared().world().send_to(client_id, &Message::binary(frame));
    }

    /// Answers one path with this, whatever it is asked, until [`FakeComfy::behave`].
    pub fn answer_with(&self, path: &str, status: u16, content_type: &str, body: &str) {
        let answer = (status, content_type.to_owned(), body.to_owned());
        self.shared().world().overrides.insert(path.to_owned(), answer);
    }
}

/// Slowness.
impl FakeComfy {
    /// Keeps back the answers of paths that begin so, until [`FakeComfy::answer_again`]. What they answer is decided then.
    pub fn hold_answers(&self, path: &str) {
        self.shared().world().held_answers = Some(path.to_owned());
    }

    /// Gives the answers that were kept back.
    pub fn answer_again(&self) {
        self.shared().world().held_answers = None;
        self.shared().changed.notify_waiters();
    }
}

/// What tests ask.
impl FakeComfy {
    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared().world().seen.clone()
    }

    /// Client ids of the WebSockets that are open.
    #[must_use]
    pub fn sockets(&self) -> Vec<String> {
        self.shared().world().sockets.values().map(|socket| socket.client_id.clone()).collect()
    }

    /// Ids of the prompts that run and wait, in the order in which they will run.
    #[must_use]
    pub fn queued(&self) -> Vec<String> {
        self.shared().world().queued()
    }

    /// The id of the prompt that runs.
    #[must_use]
    pub fn running(&self) -> Option<String> {
        self.shared().world().running.as_ref().map(|queued| queued.prompt_id.clone())
    }

    /// Ids of the prompts that are done, in the order in which they ended.
    #[must_use]
    pub fn finished(&self) -> Vec<String> {
        self.shared().world().history.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Returns once `holds` does, looked at after every change; panics after half a minute.
    pub async fn wait_until(&self, holds: impl Fn(&FakeComfy) -> bool) {
        let waiting = async {
            loop {
                let changed = self.shared().changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it comes true within half a minute");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(listener: std::net::TcpListener, address: SocketAddr, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
        tokio::spawn(execution::run_prompts(Arc::clone(&shared)));
        tokio::select! {
            () = serve(listener, address, shared) => {}
            _ = stopped => {}
        }
    });
}

/// Accepts while it is up; while it is down the port refuses.
async fn serve(first: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut temper = shared.temper.subscribe();
    let mut listener = Some(first);
    loop {
        let down = *temper.borrow_and_update() == Temper::Down;
        if down {
            listener = None;
            shared.listening.store(false, Ordering::SeqCst);
            if temper.changed().await.is_err() {
                return;
            }
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => bind_again(address).await,
        };
        shared.listening.store(true, Ordering::SeqCst);
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(until_down(stream, shared.epoch.subscribe(), Arc::clone(&shared)));
                }
            }
            _ = temper.changed() => {}
        }
        listener = Some(open);
    }
}

async fn bind_again(address: SocketAddr) -> TcpListener {
    loop {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.set_reuseaddr(true).expect("an option can be set");
        if socket.bind(address).is_ok()
            && let Ok(listener) = socket.listen(64)
        {
            return listener;
        }
        tokio::task::yield_now().await;
    }
}

/// Serves one connection until it ends or the whole server goes down.
async fn until_down(stream: TcpStream, mut epoch: watch::Receiver<u64>, shared: Arc<Shared>) {
    // As ComfyUI's server does; else each answer would wait for the delayed acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    tokio::select! {
        () = routes::serve_connection(stream, Arc::clone(&shared)) => {}
        _ = epoch.changed() => {}
    }
    shared.changed.notify_waiters();
}
