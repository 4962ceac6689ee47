//! Signed addresses: each redirect makes one, each is good for one path and for as many requests as was said.

use crate::file_server::{Reply, Request};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The addresses given out. Shared by a hub and its CDN.
#[derive(Default)]
pub(crate) struct Links(Mutex<State>);

#[derive(Default)]
struct State {
    /// Signature to the requests it was used for.
    used: HashMap<String, usize>,
    count: usize,
    lasting: Option<usize>,
    status: Option<u16>,
}

impl Links {
    /// The address of a stored file, signed anew.
    pub(crate) fn sign(&self, stored_at: &str) -> String {
        let mut state = self.state();
        state.count += 1;
        let signature = format!("{:016x}", state.count);
        state.used.insert(signature.clone(), 0);
        format!("{stored_at}?X-Amz-Expires=3600&X-Amz-Signature={signature}")
    }

    /// What a request with a dead or missing signature is told. A use of a good one counts.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Reply> {
        let mut state = self.state();
        let lasting = state.lasting.unwrap_or(usize::MAX);
        let used = request.query("X-Amz-Signature").and_then(|signature| state.used.get_mut(signature));
        if let Some(used) = used
            && *used < lasting
        {
            *used += 1;
            return None;
        }
        let document =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        let reply = Reply::status(state.status.unwrap_or(403)).header("Content-Type", "application/xml");
        Some(reply.body(document))
    }

    pub(crate) fn last(&self, requests: usize) {
        self.state().lasting = Some(requests);
    }

    pub(crate) fn expire_all(&self) {
        self.state().used.clear();
    }

    pub(crate) fn answer_with(&self, status: u16) {
        self.state().status = Some(status);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
