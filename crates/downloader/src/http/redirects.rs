//! Where a redirect leads, and whether a link may lead there at all. Pure; which addresses a host may have is
//! `address_policy`'s matter.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use crate::TransferError;
use crate::http::classify::OpenError;
use crate::http::source::host_of;

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The address in a redirect's head, as seen from `url`, which `first` has led to.
pub(super) fn next_hop(first: &Url, url: &Url, headers: &HeaderMap) -> Result<Url, OpenError> {
    let host = host_of(url);
    let refused = |problem: &str| {
        OpenError::Final(TransferError::RefusedRedirect { host: host.clone(), problem: problem.to_owned() })
    };
    // Many servers write it as it is, although only ASCII is allowed.
    let location = headers.get(LOCATION).and_then(|location| str::from_utf8(location.as_bytes()).ok());
    let location = location.ok_or_else(|| refused("the redirect names no address"))?;
    let mut next = url.join(location).map_err(|_| refused("the redirect's address is no URL"))?;
    next.set_fragment(None);
    if !matches!(next.scheme(), "http" | "https") {
        return Err(refused("it is neither http nor https"));
    }
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(refused("it goes from https to http"));
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(refused("it carries a user name or a password"));
    }
    if next == *url || next == *first {
        return Err(OpenError::Final(TransferError::TooManyRedirects { host: host_of(first) }));
    }
    Ok(next)
}
