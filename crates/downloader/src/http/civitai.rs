//! Which file a link to a Civitai model without a version means. The page that lists the versions is read here, and nothing else.

use url::Url;

use crate::http::classify::{self, OpenError};
use crate::http::source::{Wanted, Web, host_of};
use crate::{SourceUrl, SourceUrlError};

/// Longest page that is read.
const LONGEST: usize = 8 << 20;

impl Web {
    /// The newest version of a Civitai model, as its download link.
    pub(super) async fn newest_version(&self, page: &Url, model: u64) -> Result<Url, OpenError> {
        let mut response = self.send(page, page, Wanted { start: 0, end: None, if_range: None }).await?;
        if !response.status().is_success() {
            let listed = SourceUrl::parse(page.as_str()).map_err(|error| OpenError::Final(error.into()))?;
            return Err(classify::of_status(&response, &listed, false, self.hint(page)));
        }
        let mut text = Vec::new();
        loop {
            let piece =
                tokio::time::timeout(self.stall_timeout, response.chunk()).await.map_err(|_| self.stalled(page))?;
            let Some(piece) = piece.map_err(|error| classify::of_network(&error, host_of(page)))? else { break };
            text.extend(piece);
            if text.len() > LONGEST {
                break;
            }
        }
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let version = document["modelVersions"][0]["id"].as_u64();
        let version = version.ok_or(OpenError::Final(SourceUrlError::CivitaiModel(model).into()))?;
        let mut link = page.clone();
        let site = page.path().rsplit_once("/api/v1/models/").map_or("", |(site, _)| site);
        link.set_path(&format!("{site}/api/download/models/{version}"));
        link.set_query(None);
        Ok(link)
    }
}
