//! What goes into the audit trail: what somebody known did or was refused, over REST or the socket, and every login that was
//! tried. Refusals of nobody, and of those who ask too often, are in the log only; the others were counted before, and have a
//! quota of their own.

use actix_web::http::StatusCode;
use service::{
    Dashboard,
    access::{AuditClass, NewAuditRecord, Outcome},
    text::shorten,
};

use crate::middleware::authenticate::Asker;
use crate::operations::LOG_IN;

/// Writes a line about an operation that changes something.
pub(crate) async fn note(dashboard: &Dashboard, asker: &Asker, operation: &str, target: &str, status: StatusCode) {
    let is_somebody = asker.identity.is_some() || operation == LOG_IN;
    if !is_somebody || status == StatusCode::TOO_MANY_REQUESTS {
        return;
    }
    let (outcome, class) = match status {
        status if status.is_server_error() => (Outcome::Failed, AuditClass::Failure),
        StatusCode::UNAUTHORIZED if operation == LOG_IN => (Outcome::Refused, AuditClass::Login),
        status if status.is_client_error() => (Outcome::Refused, AuditClass::Refusal),
        _ => (Outcome::Done, AuditClass::Change),
    };
    let line = NewAuditRecord::new(asker.identity.as_ref(), asker.address, operation, &shorten(target), outcome);
    if let Err(cause) = dashboard.access.record(&line, class).await {
        tracing::error!(operation, error = %cause, "a line of the audit trail could not be written");
    }
}
