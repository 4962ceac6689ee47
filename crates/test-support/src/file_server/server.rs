//! The server: its thread, its runtime, its listener, its table of routes, and what holds for all of them.

use super::content::Content;
use super::gate::Gate;
use super::reply::Reply;
use super::request::Request;
use super::route::{Handler, Route, RouteState};
use super::shared::Shared;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A handle on a running server; clones and routes share it, and the last one to go stops it.
#[derive(Clone)]
pub struct FileServer(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a client over the limit of connections meets.
#[derive(Clone, Copy, Debug)]
pub enum OverLimit {
    /// Its requests get this status.
    Status(u16),
    /// Its connection is reset.
    Reset,
}

impl FileServer {
    /// Starts on a free port of 127.0.0.1. Panics if there is none.
    #[must_use]
    pub fn start() -> FileServer {
        FileServer::start_on(0)
    }

    /// Starts on this port of 127.0.0.1 (0: a free one). Panics if it is taken.
    #[must_use]
    pub fn start_on(port: u16) -> FileServer {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::new());
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("file-server-{}", address.port()))
            .spawn(move || run(listener, for_thread, stopped))
            .expect("a thread can be started");
        FileServer(Arc::new(Running { shared, address, stop: Some(stop), thread: Some(thread) }))
    }

    /// Serves `content` at `path`, honestly until rules are added. A `*` segment stands for any one segment; a path added
    /// before is replaced.
    pub fn file(&self, path: &str, content: Content) -> Route {
        self.add(path, content, None)
    }

    /// Serves `content` at `path` to the requests that `decide` lets through (`None`); the others get its reply.
    pub fn guarded_file(
        &self,
        path: &str,
        content: Content,
        decide: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Route {
        self.add(path, content, Some(Box::new(decide)))
    }

    /// Answers `path` with what `answer` makes of the request.
    pub fn handle(&self, path: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Route {
        self.add(path, Content::bytes([]), Some(Box::new(move |request| Some(answer(request)))))
    }

    /// Answers every path that no route has; without it they get a 404.
    pub fn fallback(&self, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.shared().table().fallback = Some(Box::new(move |request| Some(answer(request))));
    }

    fn add(&self, path: &str, content: Content, handler: Option<Handler>) -> Route {
        let route = Arc::new(RouteState::new(path, content, handler));
        self.shared().table().add(path, Arc::clone(&route));
        Route::new(self.clone(), route)
    }

    /// `http://127.0.0.1:port` and the path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

/// What tests ask.
impl FileServer {
    /// All requests so far, in the order they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared().recorder.read(<[Request]>::to_vec)
    }

    /// Returns once `predicate` holds for all requests so far; panics after half a minute.
    pub async fn wait_for(&self, predicate: impl Fn(&[Request]) -> bool) {
        self.shared().recorder.wait_for(predicate).await;
    }

    /// Body bytes sent to anyone.
    #[must_use]
    pub fn total_body_bytes_sent(&self) -> u64 {
        self.shared().body_bytes.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections_opened(&self) -> usize {
        self.shared().opened.load(Ordering::SeqCst)
    }

    /// Connections open now.
    #[must_use]
    pub fn connections_open(&self) -> usize {
        self.shared().open.load(Ordering::SeqCst)
    }
}

/// What holds for all routes.
impl FileServer {
    /// A network round trip of so long: paid once at the start of a connection and once by each answer.
    pub fn set_round_trip(&self, round_trip: Duration) {
        self.shared().settings().round_trip = round_trip;
    }

    /// Each connection gets at most so many bytes a second, without burst.
    pub fn set_rate_per_connection(&self, bytes_per_second: u64) {
        self.shared().settings().rate = Some(bytes_per_second);
    }

    /// No more than so many connections at once.
    pub fn limit_connections(&self, most: usize, over: OverLimit) {
        self.shared().settings().limit = Some((most, over));
    }

    /// After `bytes` more body bytes, on all routes together, none comes before the gate is opened.
    #[must_use]
    pub fn hold_after_total(&self, bytes: u64) -> Gate {
        let gate = Gate::after_total(bytes);
        self.shared().settings().gates.push(gate.clone());
        gate
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

/// Accepts until told to stop; the runtime then drops every connection, held ones included.
fn run(listener: std::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
        let accept = async {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&shared).accept(stream));
                }
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}
