//! What a failed request means: final, worth another try, or a link that has expired. Pure but for the answer's head.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{DATE, RETRY_AFTER};

use crate::http::client;
use crate::http::response::{text, unsatisfied_total};
use crate::http::source::host_of;
use crate::{SourceUrl, TokenHint, TransferError};

/// Why there is no answer with bytes.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Asking again would not help.
    Final(TransferError),
    /// Asking again may help.
    Transient { error: TransferError, retry_after: Option<Duration> },
    /// 400, 401, 403, 404 or 410: `signed` when it came from where a redirect led, so that a fresh link may help.
    Refused { error: TransferError, signed: bool },
    /// 416: the file does not have the bytes asked for. Its size, if the answer says so.
    Unsatisfiable { total: Option<u64> },
}

impl OpenError {
    pub(crate) fn transient(error: TransferError) -> Self {
        Self::Transient { error, retry_after: None }
    }
}

/// The meaning of a status that is no success and no redirect.
pub(crate) fn of_status(response: &Response, listed: &SourceUrl, signed: bool, token: TokenHint) -> OpenError {
    let host = host_of(response.url());
    let status = response.status().as_u16();
    match status {
        401 | 403 if !signed => OpenError::Refused { error: of_login(response, listed, token), signed },
        401 | 403 => OpenError::Refused { error: TransferError::Forbidden { host }, signed },
        400 if signed => OpenError::Refused { error: TransferError::UnexpectedStatus { host, status }, signed },
        404 | 410 if signed => OpenError::Refused { error: TransferError::NotFound { host, status }, signed },
        404 if text(response.headers(), "x-error-code") == Some("RepoNotFound") => {
            OpenError::Final(of_login(response, listed, token))
        }
        404 | 410 => OpenError::Final(TransferError::NotFound { host, status }),
        416 => OpenError::Unsatisfiable { total: unsatisfied_total(response.headers()) },
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 507 | 509 | 520..=530 => {
            let retry_after = retry_after_of(response);
            OpenError::Transient { error: TransferError::Busy { host, status }, retry_after }
        }
        _ => OpenError::Final(TransferError::UnexpectedStatus { host, status }),
    }
}

fn of_login(response: &Response, listed: &SourceUrl, token: TokenHint) -> TransferError {
    let host = host_of(response.url());
    let code = text(response.headers(), "x-error-code").unwrap_or_default();
    match (code, listed.hugging_face_repo()) {
        ("GatedRepo", Some(repo)) => {
            let accept_licence_at = format!("https://huggingface.co/{repo}");
            TransferError::Gated { repo, accept_licence_at, token }
        }
        ("RepoNotFound", Some(repo)) => TransferError::PrivateOrMissing { repo, token },
        _ if response.status().as_u16() == 401 => TransferError::Unauthorized { host, token },
        _ => TransferError::Forbidden { host },
    }
}

/// `Retry-After`; a date is compared with the answer's own `Date`, so that a wrong clock here does not matter.
fn retry_after_of(response: &Response) -> Option<Duration> {
    let value = text(response.headers(), RETRY_AFTER)?;
    let their_now = text(response.headers(), DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    match their_now {
        Some(now) => retry_after(value, now),
        None => value.trim().parse().ok().map(Duration::from_secs),
    }
}

/// The meaning of a request or a body that broke.
pub(crate) fn of_network(error: &reqwest::Error, host: String) -> OpenError {
    if let Some(refused) = client::refused_host(error) {
        return OpenError::Final(TransferError::RefusedAddress { host, address: refused });
    }
    if let Some(problem) = client::refused_certificate(error) {
        return OpenError::Final(TransferError::UntrustedCertificate { host, problem });
    }
    if let Some(source) = client::full_file_table(error) {
        return OpenError::transient(TransferError::Io { action: "connecting to", path: host.into(), source });
    }
    OpenError::transient(TransferError::Network { host, problem: client::innermost(error) })
}

/// Reads `Retry-After`, which is a number of seconds or a date.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status, from a listed link and from where a redirect led.
    #[test]
    fn every_status_has_a_class() {
        let listed = SourceUrl::parse("https://files.example/f.bin").expect("a link");
        let class = |status: u16, signed: bool| {
            let response = http::Response::builder().status(status).body("").expect("an answer").into();
            match of_status(&response, &listed, signed, TokenHint::NoneForHost) {
                OpenError::Final(_) => "final",
                OpenError::Transient { .. } => "transient",
                OpenError::Refused { .. } => "refused",
                OpenError::Unsatisfiable { .. } => "unsatisfiable",
            }
        };
        // The last status of each run of equal ones.
        let table = |signed: bool| {
            let mut runs: Vec<(u16, &str)> = Vec::new();
            for status in 100..600 {
                match runs.last_mut() {
                    Some((last, of_run)) if *of_run == class(status, signed) => *last = status,
                    _ => runs.push((status, class(status, signed))),
                }
            }
            runs
        };
        let after_404 = [(407, "final"), (408, "transient")];
        let from_411 = [
            (415, "final"),
            (416, "unsatisfiable"),
            (424, "final"),
            (425, "transient"),
            (428, "final"),
            (429, "transient"),
            (499, "final"),
            (500, "transient"),
            (501, "final"),
            (504, "transient"),
            (506, "final"),
            (507, "transient"),
            (508, "final"),
            (509, "transient"),
            (519, "final"),
            (530, "transient"),
            (599, "final"),
        ];
        let listed_link =
            [&[(400, "final"), (401, "refused"), (402, "final"), (403, "refused")], &after_404[..], &from_411];
        assert_eq!(table(false), listed_link.concat());
        let led_to: [&[_]; 4] = [
            &[(399, "final"), (401, "refused"), (402, "final"), (404, "refused")],
            &after_404,
            &[(409, "final"), (410, "refused")],
            &from_411,
        ];
        assert_eq!(table(true), led_to.concat());
    }

    #[test]
    fn retry_after_has_two_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sat, 06 Nov 1993 08:49:47 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
