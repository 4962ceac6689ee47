//! A registry that serves catalogue documents with ETags, and has bad days on order.
//!
//! The documents are whatever a test gives; this must not know what makes a registry a good one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::file_server::{Content, FileServer, Reply, Request};

/// A running registry on 127.0.0.1; it stops when it is dropped.
pub struct FakeRegistry {
    server: FileServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    documents: HashMap<String, String>,
    status: Option<u16>,
}

impl FakeRegistry {
    /// Path of the registry document; what an index points at lies beside it.
    pub const DOCUMENT: &str = "/catalogue/registry.json";

    /// Starts on a free port, with `document` as the registry.
    #[must_use]
    pub fn serving(document: &str) -> FakeRegistry {
        let server = FileServer::start();
        let state = Arc::new(Mutex::new(State::default()));
        let for_answers = Arc::clone(&state);
        server.fallback(move |request| answer(&for_answers.lock().unwrap_or_else(PoisonError::into_inner), request));
        let registry = FakeRegistry { server, state };
        registry.set(FakeRegistry::DOCUMENT, document);
        registry
    }

    /// Address of the registry document.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(FakeRegistry::DOCUMENT)
    }

    /// Serves `text` at `path` from now on.
    pub fn set(&self, path: &str, text: &str) {
        self.lock().documents.insert(path.to_owned(), text.to_owned());
    }

    /// Answers everything with this status from now on; `None` is a good day again.
    pub fn fail_with(&self, status: Option<u16>) {
        self.lock().status = status;
    }

    /// The server below, for requests that came and for faults of the wire.
    #[must_use]
    pub fn server(&self) -> &FileServer {
        &self.server
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(state: &State, request: &Request) -> Reply {
    if let Some(status) = state.status {
        return Reply::page(status, "<html>a bad day</html>");
    }
    let Some(text) = state.documents.get(request.path()) else { return Reply::status(404) };
    let etag = Content::bytes(text.as_bytes()).etag();
    let unchanged = request.header("if-none-match") == Some(etag.as_str());
    let reply = if unchanged { Reply::status(304) } else { Reply::status(200).body(text.as_bytes()) };
    reply.header("ETag", etag)
}
