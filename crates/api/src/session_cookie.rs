//! The cookie of a session: its name and its limits. Scripts cannot read it, other sites cannot send it, and by https its
//! name forbids a neighbouring host to plant one.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    http::header::{HeaderValue, InvalidHeaderValue},
};
use service::access::ABSOLUTE_END;

/// Browsers keep a cookie of such a name only with `Secure`, for this host alone.
const NAME_BY_HTTPS: &str = "__Host-comfyui-dashboard";
const NAME: &str = "comfyui-dashboard";

/// The value of the session cookie; `None` where there is none.
pub(crate) fn read(request: &HttpRequest, is_https: bool) -> Option<String> {
    let cookie = request.cookie(name(is_https))?;
    Some(cookie.value().to_owned()).filter(|value| !value.is_empty())
}

/// The header that gives a browser a session.
pub(crate) fn give(value: &str, is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    header(made(value, is_https, Duration::seconds(ABSOLUTE_END.as_secs())))
}

/// The header that gives a browser a session until it is closed.
pub(crate) fn lend(value: &str, is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut cookie = made(value, is_https, Duration::ZERO);
    cookie.set_max_age(None);
    header(cookie)
}

/// The header that takes the session away.
pub(crate) fn take(is_https: bool) -> Result<HeaderValue, InvalidHeaderValue> {
    header(made("", is_https, Duration::ZERO))
}

fn made(value: &str, is_https: bool, age: Duration) -> Cookie<'_> {
    Cookie::build(name(is_https), value)
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

fn name(is_https: bool) -> &'static str {
    if is_https { NAME_BY_HTTPS } else { NAME }
}
