//! What a source holds, asked without fetching it.

use crate::answer::Body;
use crate::refusal::OpenError;
use crate::source::{Source, Wanted, Web};
use crate::{Facts, SourceUrl, TransferError, answer, fetch};

/// Asks one source after another until one answers with a file.
pub(crate) async fn probe(web: &Web, sources: &[SourceUrl]) -> Result<Facts, TransferError> {
    let mut first_error = None;
    for listed in sources {
        match probe_one(web, listed).await {
            Ok(facts) => return Ok(facts),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(TransferError::NotFound { host: "no source".into(), status: 404 }))
}

async fn probe_one(web: &Web, listed: &SourceUrl) -> Result<Facts, TransferError> {
    let source = Source::new(listed.clone());
    let wanted = Wanted { start: 0, end: Some(1), if_range: None };
    match web.open(&source, wanted).await {
        Ok(opened) => {
            let name = opened.facts.file_name.clone().unwrap_or_default();
            let kind = answer::text(opened.response.headers(), reqwest::header::CONTENT_TYPE).map(str::to_owned);
            match answer::not_a_file(&name, kind.as_deref(), b"") {
                Some(what) if matches!(opened.body, Body::Whole(_)) => {
                    Err(fetch::not_a_file(&source.host(), what, kind))
                }
                _ => Ok(opened.facts),
            }
        }
        Err(OpenError::Unsatisfiable { total: Some(0) }) => {
            Ok(Facts { source: Some(listed.clone()), size: Some(0), ..Facts::default() })
        }
        Err(OpenError::Unsatisfiable { .. }) => {
            let problem = "it says that the file has no beginning (416)".to_owned();
            Err(TransferError::BadAnswer { host: source.host(), problem })
        }
        Err(OpenError::Final(error) | OpenError::Transient { error, .. } | OpenError::Refused { error, .. }) => {
            Err(error)
        }
    }
}
