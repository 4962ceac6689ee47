//! Query strings and bodies as typed values. Whatever cannot be read is refused here in the words of the interface: which
//! parameter, what it takes. A body that comes too slowly or is too large is given up before it is held in memory.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web, web::BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service::json_bounds;

use crate::dto::page::{ListQuery, PartQuery};
use crate::error::{ApiError, ErrorCode};
use crate::graph_file;
use crate::json_dialect;
use crate::large_bodies::{BodyRoom, LARGE_BODY_BYTES, LargeBodies};
use crate::middleware::authenticate::Asker;

/// Most bytes of a JSON body.
pub const MOST_BODY_BYTES: usize = 1 << 20;
/// Most bytes of a JSON body with a workflow in it: ten of 2^20 for the graph, and what stands around it.
pub const MOST_GRAPH_BODY_BYTES: usize = 11 << 20;
/// Most bytes of a query string.
pub const MOST_QUERY_BYTES: usize = 16 << 10;

/// How long a body may take: its first bytes within the grace, and then never fewer than the rate.
#[derive(Debug, Clone, Copy)]
pub struct BodyPace {
    /// What every body may take, however small.
    pub grace: Duration,
    /// Bytes a second that a larger one must come with.
    pub bytes_per_second: u32,
}

impl Default for BodyPace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), bytes_per_second: 16 << 10 }
    }
}

impl BodyPace {
    /// How long `bytes` may take from the beginning.
    pub(crate) fn allowance(self, bytes: usize) -> Duration {
        self.grace + Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second.max(1)))
    }
}

/// The query string as a value.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// A JSON body that must be there.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A body that holds a workflow: JSON, which may be large, or a file that carries one. Then the other keys are query parameters.
#[derive(Debug)]
pub struct GraphBody<T>(pub T);

/// What can be asked with a file in place of JSON.
pub trait OfFile: Sized {
    /// The keys beside the workflow.
    type Query: DeserializeOwned;

    /// The request with this graph.
    fn of_file(graph: Value, query: Self::Query) -> Self;
}

/// A JSON body that may be absent: all its keys are optional.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

/// A JSON body, or the same keys as query parameters, for clients that cannot send a body with `DELETE`.
#[derive(Debug)]
pub struct BodyOrQuery<T>(pub T);

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_query(request.query_string()).map(Self))
    }
}

impl<T: DeserializeOwned> FromRequest for ListQuery<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_list_query(request.query_string()))
    }
}

impl<T: DeserializeOwned + Send + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_BODY_BYTES, |head, body| parse_needed(head, body).map(Self))
    }
}

impl<T: DeserializeOwned + OfFile + Send + 'static> FromRequest for GraphBody<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if graph_file::is_file(request) {
            let (request, payload) = (request.clone(), payload.take());
            return Box::pin(async move {
                let query = parse_query(request.query_string())?;
                Ok(Self(T::of_file(graph_file::read(request, payload).await?, query)))
            });
        }
        of_body(request, payload, MOST_GRAPH_BODY_BYTES, |head, body| parse_needed(head, body).map(Self))
    }
}

impl<T: DeserializeOwned + Default + Send + 'static> FromRequest for OptionalBody<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_BODY_BYTES, |head, body| {
            if is_absent(body) { Ok(Self(T::default())) } else { parse_json(head, body).map(Self) }
        })
    }
}

impl<T: DeserializeOwned + Send + 'static> FromRequest for BodyOrQuery<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_BODY_BYTES, |head, body| {
            if is_absent(body) { parse_query(&head.query) } else { parse_json(head, body) }.map(Self)
        })
    }
}

/// What decides beside the body how it is read.
struct BodyHead {
    is_json: bool,
    is_compressed: bool,
    query: String,
}

/// Reads the body to its end and makes a value of it: a large one off the async workers.
fn of_body<T: Send + 'static>(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    make: impl FnOnce(&BodyHead, &[u8]) -> Result<T, ApiError> + Send + 'static,
) -> Extracting<T> {
    let (request, payload) = (request.clone(), payload.take());
    Box::pin(async move {
        let body = read_body(&request, payload, limit).await?;
        let head = BodyHead {
            is_json: is_json(&request),
            is_compressed: is_compressed(&request),
            query: request.query_string().to_owned(),
        };
        if body.len() <= LARGE_BODY_BYTES {
            return make(&head, &body);
        }
        web::block(move || make(&head, &body)).await.map_err(ApiError::internal)?
    })
}

fn parse_needed<T: DeserializeOwned>(head: &BodyHead, body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::invalid("body", "a JSON object is needed and none was sent"));
    }
    parse_json(head, body)
}

/// `null` is how some clients write that they have nothing to say.
fn is_absent(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), b"" | b"null")
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    if query.len() > MOST_QUERY_BYTES {
        return Err(ApiError::invalid("query", format!("more than {MOST_QUERY_BYTES} bytes")));
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_html_form::Deserializer::new(pairs))
        .map_err(|refused| named(&refused.path().to_string(), refused.inner()))
}

pub(crate) fn parse_list_query<T: DeserializeOwned>(query: &str) -> Result<ListQuery<T>, ApiError> {
    Ok(ListQuery(parse_query(query)?, parse_query::<PartQuery>(query)?.into()))
}

fn parse_json<T: DeserializeOwned>(head: &BodyHead, body: &[u8]) -> Result<T, ApiError> {
    if !head.is_json {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "The body must be JSON, with Content-Type: application/json",
        ));
    }
    if head.is_compressed {
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, "The body must not be compressed"));
    }
    let body = json_dialect::without_mark(body);
    // A derived reader would take an array for an object, key by key.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let words = json_dialect::explain(body).unwrap_or_else(|| "a JSON object is needed".to_owned());
        return Err(ApiError::invalid("body", words));
    }
    json_bounds::check(body).map_err(|excess| ApiError::too_complex("The body", excess))?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|refused| {
        let words = json_dialect::explain(body).filter(|_| refused.inner().is_syntax());
        match words {
            Some(words) => named(&refused.path().to_string(), &words),
            None => named(&refused.path().to_string(), refused.inner()),
        }
    })?;
    reader.end().map_err(|trailing| ApiError::unparsable("body", &trailing))?;
    Ok(value)
}

/// The path of an error in a value is `.` where the value as a whole is wrong.
fn named(path: &str, message: &dyn std::fmt::Display) -> ApiError {
    ApiError::unparsable(if path == "." { "" } else { path }, message)
}

fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Whether the body would have to be unpacked: what it becomes could not be bounded by what arrives.
fn is_compressed(request: &HttpRequest) -> bool {
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING);
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A body that comes more slowly than it may.
pub(crate) fn too_slow() -> ApiError {
    ApiError::invalid("body", "it came too slowly and was given up")
}

/// The whole body, within its size, its pace and the room that large bodies have.
async fn read_body(request: &HttpRequest, mut payload: Payload, limit: usize) -> Result<web::Bytes, ApiError> {
    let pace = request.app_data::<web::Data<BodyPace>>().map_or_else(BodyPace::default, |pace| ***pace);
    let started = tokio::time::Instant::now();
    let mut room = room(request)?;
    let mut body = BytesMut::new();
    loop {
        let deadline = started + pace.allowance(body.len());
        let chunk = tokio::time::timeout_at(deadline, payload.next()).await.map_err(|_| too_slow())?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|broken| ApiError::invalid("body", broken))?;
        if body.len() + chunk.len() > limit {
            let message = format!("The body has more than {limit} bytes");
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", limit));
        }
        room.hold(body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    // What the body becomes lives until the request is answered.
    request.extensions_mut().insert(room);
    Ok(body.freeze())
}

/// Room for the body of this request's caller.
fn room(request: &HttpRequest) -> Result<BodyRoom, ApiError> {
    let bodies = request.app_data::<web::Data<LargeBodies>>().map(|bodies| bodies.clone().into_inner());
    let caller = request.extensions().get::<Asker>().map(Asker::client);
    let (Some(bodies), Some(caller)) = (bodies, caller) else {
        return Err(ApiError::internal("a body of nobody who was judged"));
    };
    Ok(bodies.room(caller))
}
