//! Who asks, and whether they may. The rules of keyless loopback: with no password and no key made, whoever sits at this
//! machine is its admin, but no page of a browser may borrow that.

use std::net::IpAddr;

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap},
    middleware::Next,
    web::Data,
};

use super::refuse;
use super::request::Asked;
use crate::error::{ApiError, ErrorCode};
use crate::operations::Role;
use crate::origin::{AllowedOrigins, is_ours, single};

/// What decides who may do what.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// No password is set and no key was made.
    pub is_keyless: bool,
    /// Everybody who reaches the server is its admin: the operator said so.
    pub allow_unauthenticated: bool,
    /// Origins of pages that may use the trust in this machine.
    pub origins: AllowedOrigins,
}

/// Who asks, as far as it was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// How far they reach.
    pub role: Role,
}

/// Everything about a request that the decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The role that the operation needs.
    pub needs: Role,
}

/// Lets a request through if its caller may make it.
pub async fn require<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let needs = request.extensions().get::<Asked>().map_or(Role::Admin, |asked| asked.role);
    let caller = Caller { peer: request.peer_addr().map(|peer| peer.ip()), headers: request.headers(), needs };
    let judged = match request.app_data::<Data<Rules>>() {
        Some(rules) => judge(rules, caller),
        None => Err(unauthorized("No rules of access are in force")),
    };
    match judged {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(refusal) => Ok(refuse(request, refusal)),
    }
}

/// The decision itself.
pub fn judge(rules: &Rules, caller: Caller<'_>) -> Result<Principal, ApiError> {
    if has_key(caller.headers) {
        return Err(unauthorized("The key is not valid"));
    }
    if caller.needs == Role::Open {
        return Ok(Principal { role: Role::Open });
    }
    if !rules.is_keyless {
        return Err(unauthorized("Credentials are needed"));
    }
    refuse_foreign_page(rules, caller.headers)?;
    if rules.allow_unauthenticated || is_at_this_machine(caller) {
        return Ok(Principal { role: Role::Admin });
    }
    Err(unauthorized(
        "A key is needed: only requests made on this machine, to localhost, 127.0.0.1 or [::1], go without",
    ))
}

/// Whether the request brings a key, in its header or, from a browser's socket, as a subprotocol.
pub fn has_key(headers: &HeaderMap) -> bool {
    let is_bearer = |value: &str| value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let offers_key = |value: &str| value.split(',').any(|protocol| protocol.trim().starts_with("bearer."));
    let any = |name, test: &dyn Fn(&str) -> bool| headers.get_all(name).any(|value| value.to_str().is_ok_and(test));
    any(header::AUTHORIZATION, &is_bearer) || any(header::SEC_WEBSOCKET_PROTOCOL, &offers_key)
}

/// A page of another origin may not use what the machine or a cookie is trusted with, whatever the method.
fn refuse_foreign_page(rules: &Rules, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = single(headers, header::HOST.as_str()).unwrap_or_default();
    let is_foreign = if headers.contains_key(header::ORIGIN) {
        match single(headers, header::ORIGIN.as_str()) {
            Some(origin) => !is_ours(origin, host) && !rules.origins.lists(origin),
            None => true,
        }
    } else {
        let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
        !matches!(site, None | Some(b"same-origin" | b"none"))
    };
    if is_foreign {
        let message =
            "This request comes from a page of another origin; name that origin in CORS_ORIGINS, or send a key";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    Ok(())
}

/// Whether the request was made on this machine and to it: not through a proxy, not to a name that somebody else controls.
fn is_at_this_machine(caller: Caller<'_>) -> bool {
    let is_forwarded = caller.headers.keys().any(|name| {
        let name = name.as_str();
        name == "forwarded" || name == "via" || name.starts_with("x-forwarded-")
    });
    let is_near = caller.peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    let host = single(caller.headers, header::HOST.as_str()).unwrap_or_default();
    is_near && !is_forwarded && is_name_of_this_machine(host)
}

fn is_name_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message).with_header(header::WWW_AUTHENTICATE, "Bearer")
}
