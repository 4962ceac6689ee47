//! One path of the server: its content, its rules, and what tests ask about it.

use super::content::Content;
use super::plan::Plan;
use super::reply::Reply;
use super::request::Request;
use super::server::FileServer;
use super::when::When;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A path that the server answers. Every method that adds a rule gives the route back, so that they chain; a rule added
/// while requests run holds for the next one. A route keeps its server alive.
#[derive(Clone)]
pub struct Route {
    server: FileServer,
    state: Arc<RouteState>,
}

/// Decides about a request before the file is served: `None` goes on to the file.
pub(super) type Handler = Box<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

type Change = Box<dyn Fn(&mut Plan, &Request) + Send + Sync>;

pub(super) struct RouteState {
    path: String,
    content: Content,
    handler: Option<Handler>,
    rules: Mutex<Vec<Rule>>,
    body_bytes: AtomicU64,
}

struct Rule {
    when: When,
    seen: AtomicUsize,
    change: Change,
}

impl RouteState {
    pub(super) fn new(path: &str, content: Content, handler: Option<Handler>) -> RouteState {
        RouteState { path: path.to_owned(), content, handler, rules: Mutex::default(), body_bytes: AtomicU64::new(0) }
    }

    /// What the rules want for this request.
    pub(super) fn plan(&self, request: &Request) -> Plan {
        let sent = self.body_bytes.load(Ordering::SeqCst);
        let mut plan = Plan::honest(self.content.clone());
        plan.reply = self.handler.as_ref().and_then(|handler| handler(request));
        for rule in self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if rule.when.applies(request, &rule.seen, sent) {
                (rule.change)(&mut plan, request);
            }
        }
        plan
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.body_bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Whether the path of a request is this route's. A `*` segment in the route stands for any one segment.
    pub(super) fn takes(&self, path: &str) -> bool {
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(our), Some(their)) if our == their => {}
                _ => return false,
            }
        }
    }
}

impl Route {
    pub(super) fn new(server: FileServer, state: Arc<RouteState>) -> Route {
        Route { server, state }
    }

    /// Adds a rule.
    pub(super) fn rule(&self, when: When, change: impl Fn(&mut Plan, &Request) + Send + Sync + 'static) -> Route {
        let rule = Rule { when, seen: AtomicUsize::new(0), change: Box::new(change) };
        self.state.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
        self.clone()
    }

    /// Takes all rules away: the route is honest again.
    pub fn behave(&self) -> Route {
        self.state.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.clone()
    }

    /// The path, as given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.state.path
    }

    /// `http://127.0.0.1:port/path`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(self.path())
    }

    /// What an honest answer carries.
    #[must_use]
    pub fn content(&self) -> Content {
        self.state.content.clone()
    }

    /// SHA-256 of that, 64 lower-case hex digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.state.content.sha256()
    }

    /// The server that this route belongs to.
    #[must_use]
    pub fn server(&self) -> FileServer {
        self.server.clone()
    }

    /// All requests to this route so far, in the order they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests().into_iter().filter(|request| self.state.takes(request.path())).collect()
    }

    /// Body bytes that this route has sent.
    #[must_use]
    pub fn body_bytes_sent(&self) -> u64 {
        self.state.body_bytes.load(Ordering::SeqCst)
    }

    /// Returns once `predicate` holds for the requests to this route; panics after half a minute.
    pub async fn wait_for(&self, predicate: impl Fn(&[&Request]) -> bool) {
        let ours = |all: &[Request]| {
            let requests: Vec<&Request> = all.iter().filter(|request| self.state.takes(request.path())).collect();
            predicate(&requests)
        };
        self.server.wait_for(ours).await;
    }
}
