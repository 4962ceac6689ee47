//! Who asks: by a key, by a session, or by being at this machine while nobody needs credentials. A page of another origin
//! may use a key of its own, never a cookie or the trust in this machine. Whether who asks may do it is `admit`'s.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::{
    dev::ServiceRequest,
    http::header::{self, HeaderMap},
};
use ipnet::IpNet;
use service::access::{Access, Client, Credential, Identity};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::{ApiError, ErrorCode};
use crate::forwarded::Arrival;
use crate::operations::Role;
use crate::origin::{AllowedOrigins, is_ours, single};
use crate::session_cookie;

/// What decides who may do what.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Everybody who reaches the server is its admin while nobody has credentials: the operator said so.
    pub allow_unauthenticated: bool,
    /// Origins of pages that may use cookies and the trust in this machine.
    pub origins: AllowedOrigins,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Who asks, as far as it was proved.
#[derive(Debug, Clone)]
pub struct Asker {
    /// `None`: nobody that is known.
    pub identity: Option<Identity>,
    /// Where the request was made.
    pub address: IpAddr,
    /// The request was made by https.
    pub is_https: bool,
}

impl Asker {
    /// How far they reach.
    pub fn role(&self) -> Role {
        self.identity.as_ref().map_or(Role::Open, |identity| identity.role.into())
    }

    /// Who is counted for the request.
    pub fn client(&self) -> Client {
        match &self.identity {
            Some(identity) => identity.client(self.address),
            None => Client::address(self.address),
        }
    }

    /// Whether what they proved still holds. A database that does not answer ends nothing: the next look decides.
    pub(crate) async fn is_still_known(&self, access: &Access) -> bool {
        let Some(identity) = &self.identity else { return false };
        access.still_holds(identity).await.unwrap_or(true)
    }

    /// Resolves when what they proved no longer holds, for an answer that lasts.
    pub(crate) async fn credentials_end(&self, access: &Access, look_every: Duration) {
        let mut turns = interval(look_every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.is_still_known(access).await {
            turns.tick().await;
        }
    }
}

/// Who asks. A wrong key, and a foreign page that would use what it may not, are refused.
pub(super) async fn identify(
    access: &Access,
    rules: &Rules,
    request: &ServiceRequest,
    arrival: &Arrival,
) -> Result<Option<Identity>, ApiError> {
    let keys = presented_keys(request.headers());
    if let Some(key) = keys.first() {
        if keys.len() > 1 {
            return Err(unauthorized("Two different keys were sent"));
        }
        return access.authenticate(Credential::Key(key)).await.map(Some).map_err(|cause| match cause {
            service::Error::Unauthorized => unauthorized("The key is not valid"),
            other => other.into(),
        });
    }
    let cookie = session_cookie::read(request.request(), access.workspace_id(), arrival.is_https);
    let mut credentials = Vec::with_capacity(2);
    credentials.extend(cookie.as_deref().map(Credential::Session));
    if arrival.not_local.is_none() || rules.allow_unauthenticated {
        credentials.push(Credential::Loopback { cookie: cookie.as_deref() });
    }
    for credential in credentials {
        match access.authenticate(credential).await {
            Ok(identity) => {
                refuse_foreign_page(rules, request.headers(), arrival)?;
                return Ok(Some(identity));
            }
            Err(service::Error::Unauthorized) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(None)
}

/// Whether the request brings a key.
pub fn has_key(headers: &HeaderMap) -> bool {
    !presented_keys(headers).is_empty()
}

/// The different keys of a request, in its header or, from a browser's socket, as a subprotocol.
fn presented_keys(headers: &HeaderMap) -> BTreeSet<&str> {
    let texts = |name| headers.get_all(name).filter_map(|value| value.to_str().ok());
    let in_header = texts(header::AUTHORIZATION).filter_map(|value| {
        let (scheme, key) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    let offered = texts(header::SEC_WEBSOCKET_PROTOCOL)
        .flat_map(|value| value.split(','))
        .filter_map(|protocol| protocol.trim().strip_prefix("bearer."));
    in_header.chain(offered).collect()
}

/// A page of another origin may not use what the machine or a cookie is trusted with, whatever the method.
pub(crate) fn refuse_foreign_page(rules: &Rules, headers: &HeaderMap, arrival: &Arrival) -> Result<(), ApiError> {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    let is_ours_by_site = matches!(site, None | Some(b"same-origin" | b"none"));
    let is_welcome = if headers.contains_key(header::ORIGIN) {
        single(headers, header::ORIGIN.as_str())
            .is_some_and(|origin| rules.origins.lists(origin) || (is_ours(origin, &arrival.host) && is_ours_by_site))
    } else {
        is_ours_by_site
    };
    if is_welcome {
        return Ok(());
    }
    let message = "This request comes from a page of another origin; name that origin in CORS_ORIGINS, or send a key";
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

pub(super) fn unauthorized(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message).with_header(header::WWW_AUTHENTICATE, "Bearer")
}
