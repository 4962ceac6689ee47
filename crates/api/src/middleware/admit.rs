//! Who may pass: who asks is found out, counted, and held against the role that the operation needs. What changes something
//! is written into the audit trail.

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::Next,
    web::Data,
};
use service::{
    Dashboard,
    access::{Access, Actor, Decision, LoginSource},
};
use tracing::Instrument;

use super::authenticate::{Asker, Rules, identify, refuse_foreign_page, unauthorized};
use super::request::{Asked, Cost};
use super::{rate_limit, refuse};
use crate::audit;
use crate::error::{ApiError, ErrorCode};
use crate::forwarded::Arrival;
use crate::operations::{LOG_IN, Role, changes_something};
use crate::session_cookie;

/// Lets a request through if its caller may make it.
pub async fn admit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (Some(dashboard), Some(rules)) =
        (request.app_data::<Data<Dashboard>>().cloned(), request.app_data::<Data<Rules>>().cloned())
    else {
        return Ok(refuse(request, ApiError::internal("no rules of access are in force")));
    };
    let asked = request.extensions().get::<Asked>().cloned().unwrap_or_default();
    let arrival = Arrival::of(request.request(), &rules.trusted_proxies);
    let (asker, refusal) = judge(&dashboard, &rules, &request, &arrival, &asked).await;

    let decision = count(&dashboard.access, &request, &asker, asked.cost);
    let refusal = decision.and_then(|decision| rate_limit::refusal(&decision)).or(refusal);

    request.extensions_mut().insert(asker.clone());
    request.extensions_mut().insert(arrival);
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let changes = asked.operation.clone().filter(|_| changes_something(&method, asked.role));
    let mut answer = match (refusal, changes) {
        (Some(refusal), None) => refuse(request, refusal),
        (None, None) => next.call(request).await?.map_into_boxed_body(),
        (refusal, Some(operation)) => {
            let noted = Noted { dashboard: dashboard.clone(), asker: asker.clone(), operation, target: path.clone() };
            noted
                .carry_out(async move {
                    match refusal {
                        Some(refusal) => Ok(refuse(request, refusal)),
                        None => Ok(next.call(request).await?.map_into_boxed_body()),
                    }
                })
                .await?
        }
    };
    if let Some(decision) = decision.filter(|_| asked.is_interface) {
        rate_limit::describe(answer.headers_mut(), &decision);
    }
    lend_page_its_session(&dashboard, &asker, &method, &path, &mut answer);
    Ok(answer)
}

/// Counts a request before anything of it is noted; what is free only learns how its client stands.
fn count(access: &Access, request: &ServiceRequest, asker: &Asker, cost: Cost) -> Option<Decision> {
    match cost {
        Cost::Free => access.limits.look(&asker.client()),
        Cost::Request => access.limits.check(&asker.client()),
        Cost::Login => {
            let browser = session_cookie::read_browser(request.request(), access.workspace_id(), asker.is_https);
            access.count_login(&LoginSource { address: asker.address, browser: browser.as_deref() })
        }
    }
}

/// An operation that changes something, and who asked for it.
struct Noted {
    dashboard: Data<Dashboard>,
    asker: Asker,
    operation: Arc<str>,
    target: String,
}

impl Noted {
    /// Does it and notes it. A client that goes away takes neither back: half of it would be done, and nobody could see by whom.
    async fn carry_out(
        self,
        work: impl Future<Output = Result<ServiceResponse<BoxBody>, Error>> + 'static,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let done = async move {
            let answer = work.await?;
            audit::note(&self.dashboard, &self.asker, &self.operation, &self.target, answer.status()).await;
            Ok(answer)
        };
        match actix_web::rt::spawn(done.in_current_span()).await {
            Ok(answer) => answer,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => Err(actix_web::error::ErrorInternalServerError(ended)),
            },
        }
    }
}

/// Who asks, and why they may not, if so.
async fn judge(
    dashboard: &Dashboard,
    rules: &Rules,
    request: &ServiceRequest,
    arrival: &Arrival,
    asked: &Asked,
) -> (Asker, Option<ApiError>) {
    let needs = asked.role;
    let (identity, refusal) = match identify(&dashboard.access, rules, request, arrival).await {
        Ok(identity) => (identity, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let asker = Asker { identity, address: arrival.address, is_https: arrival.is_https };
    let refusal = match refusal {
        // A wrong key is refused wherever it is sent; what else is wrong does not matter where nothing is needed.
        Some(refusal) if needs != Role::Open || refusal.code == ErrorCode::Unauthorized => Some(refusal),
        _ if asked.operation.as_deref() == Some(LOG_IN) => refuse_foreign_page(rules, request.headers(), arrival).err(),
        _ if needs == Role::Open || asker.role() >= needs => None,
        _ if asker.identity.is_none() => Some(nobody()),
        _ => Some(too_little(needs, asker.role())),
    };
    (asker, refusal)
}

/// The refusal of somebody who proved nothing.
fn nobody() -> ApiError {
    unauthorized("Credentials are needed: a key, or a login with the password")
}

/// The refusal of somebody known.
pub(crate) fn too_little(needs: Role, has: Role) -> ApiError {
    let message = format!("This needs the role {}; the credentials have {}", needs.as_str(), has.as_str());
    ApiError::new(ErrorCode::Forbidden, message).with("needs", needs.as_str()).with("has", has.as_str())
}

/// Our own page, opened at this machine while nobody needs credentials, is counted as somebody of its own.
fn lend_page_its_session(
    dashboard: &Dashboard,
    asker: &Asker,
    method: &Method,
    path: &str,
    answer: &mut ServiceResponse<BoxBody>,
) {
    let is_unnamed = asker.identity.as_ref().is_some_and(|identity| identity.actor == Actor::Loopback);
    if !is_unnamed || path != "/" || *method != Method::GET {
        return;
    }
    if let Ok(cookie) =
        session_cookie::lend(dashboard.access.page_cookie(), dashboard.access.workspace_id(), asker.is_https)
    {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
