//! `/api/auth/login`, `logout` and `me`: a browser's way in and out, and who asks.

use actix_web::{
    CustomizeResponder, HttpRequest, Responder, get,
    http::header,
    post,
    web::{Data, Json, ReqData},
};
use service::{Dashboard, access::ABSOLUTE_END};

use crate::dto::{
    auth::{AccessRole, LoggedIn, LoggedOut, LoginRequest, Me},
    error::ErrorEnvelope,
};
use crate::error::ApiError;
use crate::extract::Body;
use crate::middleware::{admit::nobody, authenticate::Asker};
use crate::session_cookie;

/// Log in
///
/// The password gives a session cookie that reaches as far as an admin. An address may try ten times in a minute.
#[utoipa::path(
    tag = "access",
    request_body(content = LoginRequest, example = json!({"password": "correct horse battery staple"})),
    responses(
        (status = 200, description = "The session began; its cookie is in `Set-Cookie`", body = LoggedIn, example = json!({
            "status": "logged_in", "role": "admin", "expires_at": "2026-03-17T10:30:00Z"
        })),
        (status = 429, description = "`RATE_LIMIT_EXCEEDED`: too many logins were tried", body = ErrorEnvelope),
    )
)]
#[post("/api/auth/login")]
pub(super) async fn log_in(
    dashboard: Data<Dashboard>,
    request: HttpRequest,
    asker: ReqData<Asker>,
    login: Body<LoginRequest>,
) -> Result<CustomizeResponder<Json<LoggedIn>>, ApiError> {
    let previous = session_cookie::read(&request, asker.is_https);
    let (secret, session) = dashboard.access.log_in(&login.0.password, asker.address, previous.as_deref()).await?;
    let cookie = session_cookie::give(secret.reveal(), asker.is_https).map_err(ApiError::internal)?;
    let expires_at = session.created_at.checked_add(ABSOLUTE_END).map_err(ApiError::internal)?;
    let answer = LoggedIn { status: "logged_in".to_owned(), role: AccessRole::Admin, expires_at };
    Ok(Json(answer).customize().insert_header((header::SET_COOKIE, cookie)))
}

/// Log out
///
/// Ends the session of the cookie and takes the cookie away.
#[utoipa::path(
    tag = "access",
    responses((status = 200, description = "The session ended", body = LoggedOut, example = json!({"status": "logged_out"})))
)]
#[post("/api/auth/logout")]
pub(super) async fn log_out(
    dashboard: Data<Dashboard>,
    request: HttpRequest,
    asker: ReqData<Asker>,
) -> Result<CustomizeResponder<Json<LoggedOut>>, ApiError> {
    if let Some(cookie) = session_cookie::read(&request, asker.is_https) {
        dashboard.access.log_out(&cookie).await?;
    }
    let cookie = session_cookie::take(asker.is_https).map_err(ApiError::internal)?;
    let answer = LoggedOut { status: "logged_out".to_owned() };
    Ok(Json(answer).customize().insert_header((header::SET_COOKIE, cookie)))
}

/// Show who asks
#[utoipa::path(
    tag = "access",
    responses((status = 200, description = "Whose credentials these are", body = Me, example = json!({
        "kind": "key", "id": "key_0198c5", "name": "laptop", "role": "operate"
    })))
)]
#[get("/api/auth/me")]
pub(super) async fn me(asker: ReqData<Asker>) -> Result<Json<Me>, ApiError> {
    let identity = asker.into_inner().identity.ok_or_else(nobody)?;
    Ok(Json(identity.into()))
}
