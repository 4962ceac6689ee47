//! What the connections see of the server: the routes, the settings, the counters; and what these want for a request.

use super::connection;
use super::content::Content;
use super::gate::Gate;
use super::plan::Plan;
use super::recorder::Recorder;
use super::reply::Reply;
use super::request::Request;
use super::route::{Handler, RouteState};
use super::server::OverLimit;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// One for each server, shared by its connections and its handles.
pub(super) struct Shared {
    pub(super) recorder: Recorder,
    table: Mutex<Table>,
    settings: Mutex<Settings>,
    pub(super) body_bytes: AtomicU64,
    pub(super) opened: AtomicUsize,
    pub(super) open: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Table {
    exact: HashMap<String, Arc<RouteState>>,
    wildcard: Vec<Arc<RouteState>>,
    pub(super) fallback: Option<Handler>,
}

#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) round_trip: Duration,
    pub(super) rate: Option<u64>,
    pub(super) limit: Option<(usize, OverLimit)>,
    pub(super) gates: Vec<Gate>,
}

impl Table {
    pub(super) fn add(&mut self, path: &str, route: Arc<RouteState>) {
        if path.split('/').any(|segment| segment == "*") {
            self.wildcard.push(route);
        } else {
            self.exact.insert(path.to_owned(), route);
        }
    }

    fn find(&self, path: &str) -> Option<&Arc<RouteState>> {
        self.exact.get(path).or_else(|| self.wildcard.iter().rev().find(|route| route.takes(path)))
    }
}

impl Shared {
    pub(super) fn new() -> Shared {
        Shared {
            recorder: Recorder::new(),
            table: Mutex::default(),
            settings: Mutex::default(),
            body_bytes: AtomicU64::new(0),
            opened: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the route, the fallback and the settings want for this request.
    pub(super) fn plan(&self, request: &Request) -> Plan {
        let route = self.table().find(request.path()).cloned();
        let mut plan = route.map_or_else(|| self.plan_without_route(request), |route| route.plan(request));
        let settings = self.settings().clone();
        plan.delivery.delay += settings.round_trip;
        plan.delivery.rate = plan.delivery.rate.or(settings.rate);
        plan.delivery.gates.extend(settings.gates);
        if let Some((most, OverLimit::Status(status))) = settings.limit
            && self.open.load(Ordering::SeqCst) > most
        {
            plan.reply = Some(Reply::status(status).header("Connection", "close"));
        }
        plan
    }

    fn plan_without_route(&self, request: &Request) -> Plan {
        let reply = self.table().fallback.as_ref().and_then(|answer| answer(request));
        let mut plan = Plan::honest(Content::bytes([]));
        plan.reply = Some(reply.unwrap_or_else(|| Reply::status(404).body("no such file")));
        plan
    }

    /// Counts body bytes for the server, the route and the request.
    pub(super) fn sent(&self, request: &Request, bytes: u64) {
        self.body_bytes.fetch_add(bytes, Ordering::SeqCst);
        if let Some(route) = self.table().find(request.path()) {
            route.sent(bytes);
        }
        self.recorder.sent(request.number, bytes);
    }

    pub(super) async fn accept(self: Arc<Shared>, stream: TcpStream) {
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        let settings = self.settings().clone();
        tokio::time::sleep(settings.round_trip).await;
        match settings.limit {
            Some((most, OverLimit::Reset)) if open > most => {
                let _ = stream.set_zero_linger();
            }
            _ => connection::serve(stream, Arc::clone(&self), number).await,
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}
