//! Limits in an answer: four headers on each, and when to come again on the one that refuses. How they are counted is the
//! service's.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use service::access::Decision;

use crate::error::{ApiError, ErrorCode};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RESET_TIME: HeaderName = HeaderName::from_static("x-ratelimit-reset-time");

/// Adds the four headers. The reset is when the client has its full number again.
pub(super) fn describe(headers: &mut HeaderMap, decision: &Decision) {
    let reset = decision.reset_at.as_second() + i64::from(decision.reset_at.subsec_nanosecond() > 0);
    let reset_time = jiff::Timestamp::from_second(reset).unwrap_or(decision.reset_at);
    headers.insert(LIMIT, HeaderValue::from(decision.limit));
    headers.insert(REMAINING, HeaderValue::from(decision.remaining));
    headers.insert(RESET, HeaderValue::from(reset));
    if let Ok(text) = HeaderValue::from_str(&reset_time.to_string()) {
        headers.insert(RESET_TIME, text);
    }
}

/// The refusal of a client that asks too often; `None` where it does not.
pub(crate) fn refusal(decision: &Decision) -> Option<ApiError> {
    let seconds = decision.retry_after?.as_secs_f64().ceil().max(1.0) as u64;
    let message = format!("More than {} requests in a minute; try again in {seconds} s", decision.limit);
    let refusal = ApiError::new(ErrorCode::RateLimitExceeded, message)
        .with("limit", decision.limit)
        .with("retry_after_seconds", seconds)
        .with_header(header::RETRY_AFTER, &seconds.to_string());
    Some(refusal)
}
