//! `/api/auth/login`, `logout` and `me`: a browser's way in and out, and who asks.

use actix_web::{
    CustomizeResponder, HttpRequest, Responder, get,
    http::header,
    post,
    web::{Data, Json, ReqData},
};
use service::{
    Dashboard,
    access::{ABSOLUTE_END, LoginSource, LoginWay},
};

use crate::dto::{
    auth::{AccessRole, LoggedIn, LoggedOut, LoginRequest, Me},
    error::ErrorEnvelope,
};
use crate::error::ApiError;
use crate::extract::Body;
use crate::forwarded::Arrival;
use crate::middleware::authenticate::{Asker, Rules, refuse_foreign_page};
use crate::session_cookie;

/// Log in
///
/// The password gives a session cookie that reaches as far as an admin. An address may send ten logins in a minute, and each wrong
/// password after the fifth makes the next one wait longer. A second, long-lived cookie lets the browser be known again.
#[utoipa::path(
    tag = "access",
    request_body(content = LoginRequest, example = json!({"password": "correct horse battery staple"})),
    responses(
        (status = 200, description = "The session began; its cookie is in `Set-Cookie`", body = LoggedIn, example = json!({
            "status": "logged_in", "role": "admin", "expires_at": "2026-03-17T10:30:00.000Z"
        })),
        (status = 429, description = "`RATE_LIMIT_EXCEEDED`: too many logins or wrong passwords; `Retry-After` says when to try again", body = ErrorEnvelope),
    )
)]
#[post("/api/auth/login")]
pub(super) async fn log_in(
    dashboard: Data<Dashboard>,
    request: HttpRequest,
    asker: ReqData<Asker>,
    login: Body<LoginRequest>,
) -> Result<CustomizeResponder<Json<LoggedIn>>, ApiError> {
    let (access, is_https) = (&dashboard.access, asker.is_https);
    let workspace = access.workspace_id();
    let previous = session_cookie::read(&request, workspace, is_https);
    let browser = session_cookie::read_browser(&request, workspace, is_https);
    let source = LoginSource { address: asker.address, browser: browser.as_deref() };
    let (secret, session) = access.log_in(&login.0.password, source, previous.as_deref()).await?;
    let browser = access.browser_cookie(browser.as_deref())?;
    let cookie = session_cookie::give(secret.reveal(), workspace, is_https).map_err(ApiError::internal)?;
    let browser = session_cookie::give_browser(&browser, workspace, is_https).map_err(ApiError::internal)?;
    let expires_at = session.created_at.checked_add(ABSOLUTE_END).map_err(ApiError::internal)?;
    let answer = LoggedIn { status: "logged_in".to_owned(), role: AccessRole::Admin, expires_at };
    let answer = Json(answer).customize().append_header((header::SET_COOKIE, cookie));
    Ok(answer.append_header((header::SET_COOKIE, browser)))
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
    let workspace = dashboard.access.workspace_id();
    if let Some(cookie) = session_cookie::read(&request, workspace, asker.is_https) {
        dashboard.access.log_out(&cookie).await?;
    }
    let cookie = session_cookie::take(workspace, asker.is_https).map_err(ApiError::internal)?;
    let answer = LoggedOut { status: "logged_out".to_owned() };
    Ok(Json(answer).customize().insert_header((header::SET_COOKIE, cookie)))
}

/// Show who asks
///
/// Open to everybody: it says how to sign in, and to whom nothing was proved, why.
#[utoipa::path(
    tag = "access",
    responses((status = 200, description = "Whose credentials these are", body = Me, example = json!({
        "kind": "key", "id": "key_0198c5", "name": "laptop", "role": "operate", "login": "password", "reason": null
    })))
)]
#[get("/api/auth/me")]
pub(super) async fn me(
    dashboard: Data<Dashboard>,
    rules: Data<Rules>,
    request: HttpRequest,
    asker: ReqData<Asker>,
    arrival: ReqData<Arrival>,
) -> Result<Json<Me>, ApiError> {
    let way = dashboard.access.login_way().await?;
    let asker = asker.into_inner();
    Ok(Json(match asker.identity {
        Some(identity) => Me::known(identity, way),
        None => Me::nobody(way, reason(way, &rules, &request, &arrival)),
    }))
}

/// Why nothing is proved, and what to do about it.
fn reason(way: LoginWay, rules: &Rules, request: &HttpRequest, arrival: &Arrival) -> String {
    let foreign = refuse_foreign_page(rules, request.headers(), arrival).err();
    match (way, &arrival.not_local, foreign) {
        (_, _, Some(foreign)) => foreign.message,
        (LoginWay::Password, ..) => "Sign in with the password, or send a key".to_owned(),
        (LoginWay::Keys, ..) => {
            "Send a key; to sign in with a password, set one: `comfyui-dashboard auth set-password`".to_owned()
        }
        (LoginWay::None, Some(not_local), None) => format!(
            "Without a password or key, only localhost is trusted, and {not_local}. Set a password on that machine: \
             `comfyui-dashboard auth set-password`, or ACCESS_PASSWORD and a restart"
        ),
        (LoginWay::None, None, None) => "Try again: this request is trusted by now".to_owned(),
    }
}
