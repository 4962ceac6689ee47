//! What a source holds, asked without fetching it.

use std::time::Duration;

use reqwest::Response;

use crate::http::classify::OpenError;
use crate::http::response;
use crate::http::response::Body;
use crate::http::source::{Source, Wanted, Web};
use crate::{Facts, SourceUrl, TokenHint, TransferError};

/// Why no source said what it holds.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Asking again gets the same answer: the file is gated, missing, or no file.
    #[error(transparent)]
    Refused(TransferError),
    /// Asking again later may help: the host is busy or away.
    #[error(transparent)]
    Passing(TransferError),
}

/// Asks one source after another until one answers with a file. Where one of several may answer later, that counts.
pub(crate) async fn probe(web: &Web, sources: &[SourceUrl]) -> Result<Facts, ProbeError> {
    let (mut passing, mut refused) = (None, None);
    for listed in sources {
        match probe_one(web, listed).await {
            Ok(facts) => return Ok(facts),
            Err(ProbeError::Passing(error)) => passing = passing.or(Some(error)),
            Err(ProbeError::Refused(error)) => refused = refused.or(Some(error)),
        }
    }
    let none = || TransferError::NotFound { host: "no source".into(), status: 404 };
    Err(match (passing, refused) {
        (Some(error), _) => ProbeError::Passing(error),
        (None, error) => ProbeError::Refused(error.unwrap_or_else(none)),
    })
}

async fn probe_one(web: &Web, listed: &SourceUrl) -> Result<Facts, ProbeError> {
    let source = Source::new(listed.clone());
    let wanted = Wanted { start: 0, end: Some(1), if_range: None };
    match web.open(&source, wanted).await {
        Ok(opened) => {
            let name = opened.facts.file_name.clone().unwrap_or_default();
            let kind = response::text(opened.response.headers(), reqwest::header::CONTENT_TYPE).map(str::to_owned);
            match response::not_a_file(&name, kind.as_deref(), b"") {
                Some(what) if matches!(opened.body, Body::Whole(_)) => {
                    let mut error = TransferError::not_a_file(&source.host(), what, kind);
                    if let TransferError::NotAFile { hint, .. } = &mut error {
                        *hint = Some(web.hint_for(listed)).filter(|token| *token != TokenHint::NoneForHost);
                    }
                    Err(ProbeError::Refused(error))
                }
                _ => {
                    let facts = opened.facts;
                    if matches!(opened.body, Body::Part(_)) {
                        finish(opened.response).await;
                    }
                    Ok(facts)
                }
            }
        }
        Err(OpenError::Unsatisfiable { total: Some(0) }) => {
            Ok(Facts { source: Some(listed.clone()), size: Some(0), ..Facts::default() })
        }
        Err(OpenError::Unsatisfiable { .. }) => {
            let problem = "it says that the file has no beginning (416)".to_owned();
            Err(ProbeError::Refused(TransferError::BadAnswer { host: source.host(), problem }))
        }
        Err(OpenError::Transient { error, .. }) => Err(ProbeError::Passing(error)),
        Err(OpenError::Final(error) | OpenError::Refused { error, .. }) => Err(ProbeError::Refused(error)),
    }
}

/// Reads the byte that was asked for to the end of its answer, so that the connection can be used again. A host that limits
/// connections may count one that was closed for a moment longer, and would refuse the download that follows the probe.
async fn finish(mut response: Response) {
    const MOST_BYTES: usize = 4096;
    const LONGEST: Duration = Duration::from_secs(1);
    let to_the_end = async {
        let mut read = 0;
        while let Ok(Some(bytes)) = response.chunk().await {
            read += bytes.len();
            if read > MOST_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LONGEST, to_the_end).await;
}
