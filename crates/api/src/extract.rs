//! Query strings and bodies as typed values. Whatever cannot be read is refused here in the words of the interface: which
//! parameter, what it takes. A body that comes too slowly or is too large is given up before it is held in memory.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web, web::BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::dto::page::{ListQuery, PartQuery};
use crate::error::{ApiError, ErrorCode};
use crate::json_dialect;

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

/// A JSON body that must be there and may hold a workflow, which may be large.
#[derive(Debug)]
pub struct GraphBody<T>(pub T);

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

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_BODY_BYTES, |request, body| parse_needed(request, body).map(Self))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for GraphBody<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_GRAPH_BODY_BYTES, |request, body| parse_needed(request, body).map(Self))
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_BODY_BYTES, |request, body| {
            if is_absent(body) { Ok(Self(T::default())) } else { parse_json(request, body).map(Self) }
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for BodyOrQuery<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        of_body(request, payload, MOST_BODY_BYTES, |request, body| {
            if is_absent(body) { parse_query(request.query_string()) } else { parse_json(request, body) }.map(Self)
        })
    }
}

/// Reads the body to its end and makes a value of it.
fn of_body<T: 'static>(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    make: impl FnOnce(&HttpRequest, &[u8]) -> Result<T, ApiError> + 'static,
) -> Extracting<T> {
    let (request, payload) = (request.clone(), payload.take());
    Box::pin(async move {
        let body = read_body(&request, payload, limit).await?;
        make(&request, &body)
    })
}

fn parse_needed<T: DeserializeOwned>(request: &HttpRequest, body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::invalid("body", "a JSON object is needed and none was sent"));
    }
    parse_json(request, body)
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

fn parse_json<T: DeserializeOwned>(request: &HttpRequest, body: &[u8]) -> Result<T, ApiError> {
    if !is_json(request) {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "The body must be JSON, with Content-Type: application/json",
        ));
    }
    let body = json_dialect::without_mark(body);
    // A derived reader would take an array for an object, key by key.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let words = json_dialect::explain(body).unwrap_or_else(|| "a JSON object is needed".to_owned());
        return Err(ApiError::invalid("body", words));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|refused| {
        let words = json_dialect::explain(body).filter(|_| refused.inner().is_syntax());
        match words {
            Some(words) => named(&refused.path().to_string(), &words),
            None => named(&refused.path().to_string(), refused.inner()),
        }
    })?;
    reader.end().map_err(|trailing| ApiError::invalid("body", trailing))?;
    Ok(value)
}

/// The path of an error in a value is `.` where the value as a whole is wrong.
fn named(path: &str, message: &dyn std::fmt::Display) -> ApiError {
    ApiError::invalid(if path == "." { "" } else { path }, message)
}

fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A body that comes more slowly than it may.
pub(crate) fn too_slow() -> ApiError {
    given_up(ApiError::invalid("body", "it came too slowly and was given up"))
}

/// Whoever sends so would go on: the connection ends with the answer.
pub(crate) fn given_up(failure: ApiError) -> ApiError {
    failure.with_header(header::CONNECTION, "close")
}

/// The whole body, within its size and its pace.
async fn read_body(request: &HttpRequest, payload: Payload, limit: usize) -> Result<web::Bytes, ApiError> {
    let pace = request.app_data::<web::Data<BodyPace>>().map_or_else(BodyPace::default, |pace| ***pace);
    let started = tokio::time::Instant::now();
    let mut payload = payload;
    let mut body = BytesMut::new();
    loop {
        let deadline = started + pace.allowance(body.len());
        let chunk = tokio::time::timeout_at(deadline, payload.next()).await.map_err(|_| too_slow())?;
        let Some(chunk) = chunk else { return Ok(body.freeze()) };
        let chunk = chunk.map_err(|broken| ApiError::invalid("body", broken))?;
        if body.len() + chunk.len() > limit {
            let message = format!("The body has more than {limit} bytes");
            return Err(given_up(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", limit)));
        }
        body.extend_from_slice(&chunk);
    }
}
