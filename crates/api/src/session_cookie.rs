//! The cookies of browsers: one of the session, and one that tells a browser that logged in before from a stranger. Scripts
//! cannot read them, other sites cannot send them, and by https their names forbid a neighbouring host to plant one. The names
//! carry the id of the workspace: cookies do not know ports, and two dashboards may have one host name.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    http::header::{HeaderValue, InvalidHeaderValue},
};
use service::access::ABSOLUTE_END;

const SESSION: &str = "comfyui-dashboard";
const BROWSER: &str = "comfyui-dashboard-browser";

/// Browsers keep a cookie for so long at most.
const BROWSER_DAYS: i64 = 400;

/// The value of the session cookie; `None` where there is none.
pub(crate) fn read(request: &HttpRequest, workspace: &str, is_https: bool) -> Option<String> {
    value(request, &name(SESSION, workspace, is_https))
}

/// The value of the cookie of a browser that logged in before; `None` where there is none.
pub(crate) fn read_browser(request: &HttpRequest, workspace: &str, is_https: bool) -> Option<String> {
    value(request, &name(BROWSER, workspace, is_https))
}

/// The header that gives a browser a session.
pub(crate) fn give(session: &str, workspace: &str, is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    let age = Duration::seconds(ABSOLUTE_END.as_secs());
    header(made(name(SESSION, workspace, is_https), session, is_https, age))
}

/// The header that lets a browser be known again.
pub(crate) fn give_browser(browser: &str, workspace: &str, is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    header(made(name(BROWSER, workspace, is_https), browser, is_https, Duration::days(BROWSER_DAYS)))
}

/// The header that gives a browser a session until it is closed.
pub(crate) fn lend(session: &str, workspace: &str, is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut cookie = made(name(SESSION, workspace, is_https), session, is_https, Duration::ZERO);
    cookie.set_max_age(None);
    header(cookie)
}

/// The header that takes the session away.
pub(crate) fn take(workspace: &str, is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    header(made(name(SESSION, workspace, is_https), "", is_https, Duration::ZERO))
}

fn value(request: &HttpRequest, name: &str) -> Option<String> {
    let cookie = request.cookie(name)?;
    Some(cookie.value().to_owned()).filter(|value| !value.is_empty())
}

fn made(name: String, value: &str, is_https: bool, age: Duration) -> Cookie<'_> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_https)
        .max_age(age)
        .finish()
}

fn header(cookie: Cookie<'_>) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(&cookie.to_string())
}

/// Browsers keep a cookie whose name begins with `__Host-` only with `Secure`, for this host alone.
fn name(base: &str, workspace: &str, is_https: bool) -> String {
    let prefix = if is_https { "__Host-" } else { "" };
    format!("{prefix}{base}-{workspace}")
}
