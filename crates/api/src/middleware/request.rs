//! The id of a request, the one line that the log has of it, and its place in the measures.

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use std::sync::Arc;
use std::time::Duration;

use service::text;
use tokio::time::Instant;
use tracing::Instrument;

use super::{cors, error_envelope::Failed};
use crate::log_room::OTHER_REQUESTS;
use crate::measures;
use crate::operations::{HEALTH, LOG_IN, Operations, Role, changes_something};
use crate::static_files;

/// The header of the id, in requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST_ID: usize = 128;

/// What is known of a request before anybody looks at it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The client's own id for it where that is sane, else ours.
    pub id: Arc<str>,
    /// The operation that it is, where it is one.
    pub operation: Option<Arc<str>>,
    /// The role that it needs.
    pub role: Role,
    /// It belongs to the interface, and not to the page and its files.
    pub is_interface: bool,
    /// How it counts.
    pub(crate) cost: Cost,
}

/// How a request counts against the limits of its client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Not at all: health, files of the page, preflights.
    Free,
    /// As a login, whatever is in it.
    Login,
    /// As any request, those that no route takes among them.
    #[default]
    Request,
}

/// Gives the request its id and writes its line when it is answered. The query is left out of the log: it may hold secrets.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let asked = ask(&request);
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %asked.id);
    let started = Instant::now();
    request.extensions_mut().insert(asked.clone());

    let mut answer = next.call(request).instrument(span.clone()).await?;

    if let Ok(id) = HeaderValue::from_str(&asked.id) {
        answer.headers_mut().insert(HEADER, id);
    }
    let taken = started.elapsed();
    measures::request_answered(asked.operation.as_deref(), answer.status().as_u16(), taken);
    span.in_scope(|| log(&asked, &method, &answer, taken));
    Ok(answer.map_into_boxed_body())
}

/// Writes the line of a request: at ERROR with its cause where the server failed, at INFO where the client did or something changed, else
/// at DEBUG.
fn log<B>(asked: &Asked, method: &Method, answer: &ServiceResponse<B>, taken: Duration) {
    let (status, ms) = (answer.status(), taken.as_millis() as u64);
    let path = || text::cut(answer.request().path());
    if status.is_server_error() {
        let extensions = answer.request().extensions();
        let (path, status) = (path(), status.as_u16());
        match extensions.get::<Failed>() {
            Some(Failed { code, message, cause }) => {
                tracing::error!(%method, %path, status, ms, code, cause, "{message}");
            }
            None => tracing::error!(%method, %path, status, ms, "answered"),
        }
    } else if status.is_client_error() {
        tracing::info!(target: OTHER_REQUESTS, %method, path = %path(), status = status.as_u16(), ms, "answered");
    } else if asked.cost != Cost::Free && changes_something(method, asked.role) {
        tracing::info!(%method, path = %path(), status = status.as_u16(), ms, "answered");
    } else {
        tracing::debug!(target: OTHER_REQUESTS, %method, path = %path(), status = status.as_u16(), ms, "answered");
    }
}

fn ask(request: &ServiceRequest) -> Asked {
    let operations = request.app_data::<Data<Operations>>();
    // As the router reads it, which undoes escapes: an address must not be one operation here and another one there.
    let path = request.match_info().as_str();
    let operation = operations.and_then(|all| all.find(request.method(), path));
    let is_interface = operation.is_some() || is_interface(path);
    Asked {
        id: given_id(request).unwrap_or_else(new_id),
        operation: operation.map(|operation| operation.id.clone()),
        role: match operation {
            Some(operation) => operation.role,
            None if is_interface => Role::Read,
            None => Role::Open,
        },
        is_interface,
        cost: cost_of(request, operation.map(|operation| &*operation.id)),
    }
}

fn cost_of(request: &ServiceRequest, operation: Option<&str>) -> Cost {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    match operation {
        Some(LOG_IN) => Cost::Login,
        Some(operation) if HEALTH.contains(&operation) => Cost::Free,
        Some(_) => Cost::Request,
        None if cors::is_preflight(request) => Cost::Free,
        None if is_reading && static_files::find(request.request()).is_some() => Cost::Free,
        None => Cost::Request,
    }
}

/// Whether an address without a route belongs to the interface, and not to the page and its files.
fn is_interface(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// An id of our own.
fn new_id() -> Arc<str> {
    let mut digits = [0; uuid::fmt::Simple::LENGTH];
    let digits: &str = uuid::Uuid::new_v4().simple().encode_lower(&mut digits);
    digits.into()
}

/// The id that the client gave, if it can stand in a log and a header.
fn given_id(request: &ServiceRequest) -> Option<Arc<str>> {
    let given = request.headers().get(&HEADER)?.to_str().ok()?;
    let is_sane = (1..=LONGEST_ID).contains(&given.len())
        && given.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_sane.then(|| given.into())
}
