//! A link as people have it, read into the file behind it: plain URLs, Hugging Face and Civitai pages, `hf://`,
//! `urn:air:`. Pure; which addresses a host may have is `address_policy`'s matter.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::hosts::{self, CIVITAI, HUGGING_FACE, Site};

/// What a path segment cannot hold as it is.
const SEGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}').add(b'%');

/// The same for a text that has to stay one segment.
const ONE_SEGMENT: &AsciiSet = &SEGMENT.add(b'/');

/// The URL of one file, http or https, in a form in which equal files have equal URLs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SourceUrl(Url);

/// A link that is refused. The sentence says why and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceUrlError {
    /// It is no URL at all, or has no scheme.
    #[error("the link is no URL ({0}); give one that begins with https://")]
    Unreadable(url::ParseError),
    /// Another scheme than http or https.
    #[error("links of the kind {0}: are refused; give https, http, hf:// or urn:air:")]
    Scheme(String),
    /// User name or password inside the URL.
    #[error("the link carries a user name or a password; put tokens in the settings")]
    Credentials,
    /// An `hf://` link without organisation, repository or file.
    #[error("an hf:// link has the form hf://org/repo/path@revision")]
    HuggingFaceForm,
    /// A `urn:air:` that names no model of Civitai.
    #[error("an AIR has the form urn:air:base:type:civitai:model@version")]
    AirForm,
    /// An AIR of Hugging Face, which names a repository.
    #[error("an AIR of Hugging Face names a repository and no file; give hf://org/repo/path@revision")]
    AirOfRepository,
    /// A page that stands for no file.
    #[error("this page of {host} is no file; {takes}")]
    Page {
        /// Whose page it is.
        host: &'static str,
        /// Which links stand for a file.
        takes: &'static str,
    },
    /// A Civitai model without any version.
    #[error("Civitai lists no file for model {0}")]
    CivitaiModel(u64),
}

impl SourceUrl {
    /// Reads a link.
    ///
    /// | given | read as |
    /// |---|---|
    /// | `https://huggingface.co/org/repo/blob/main/f` | `/resolve/` instead of the page |
    /// | `hf://org/repo/f@rev`, `hf://org/repo@rev/f` | the same; `main` without `@rev`; `hf://datasets/...` too |
    /// | `https://civitai.com/models/1?modelVersionId=2`, also `.red` and `.green` | `/api/download/models/2` |
    /// | `urn:air:sdxl:lora:civitai:1@2`, `air:...` | the same |
    /// | shared links and pages of GitHub, ModelScope, Dropbox, Google Drive | the file, as the table in `hosts` says |
    /// | a Civitai model without version | its newest version, asked for when it is fetched |
    ///
    /// Quotes and angle brackets around it are dropped, and a known host needs no scheme. The fragment is dropped. Everything that is not http or https is refused, and so are user names and passwords.
    pub fn parse(text: &str) -> Result<Self, SourceUrlError> {
        let text = unquoted(text);
        if let Some(rest) = text.strip_prefix("hf://") {
            return hugging_face_link(rest).and_then(|url| Self::from_http(&url));
        }
        for prefix in ["urn:air:", "air:"] {
            if text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)) {
                return air_link(&text[prefix.len()..]).and_then(|url| Self::from_http(&url));
            }
        }
        if hosts::begins_with_host(text) {
            return Self::from_http(&format!("https://{text}"));
        }
        Self::from_http(text)
    }

    fn from_http(text: &str) -> Result<Self, SourceUrlError> {
        let mut url = Url::parse(text).map_err(SourceUrlError::Unreadable)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SourceUrlError::Scheme(url.scheme().chars().take(20).collect()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceUrlError::Credentials);
        }
        url.set_fragment(None);
        hosts::file_of(url).map(Self)
    }

    /// The name of the file, where the URL has one: a last segment with an extension.
    pub fn file_name(&self) -> Option<String> {
        let name = crate::file_name::from_url(&self.0)?;
        let (stem, extension) = name.rsplit_once('.')?;
        let is_extension =
            (1..=12).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_extension && !stem.is_empty()).then_some(name)
    }

    /// The URL in full. It may hold a query that is a secret: do not show it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The URL without its query, for people and logs.
    pub fn public(&self) -> String {
        public_form(&self.0)
    }

    /// The Hugging Face repository that this is a file of (`org/name`, `datasets/org/name`).
    pub fn hugging_face_repo(&self) -> Option<String> {
        match hosts::site_of(&self.0)? {
            Site::HuggingFace | Site::HuggingFaceMirror => repo_of_path(self.0.path()),
            _ => None,
        }
    }

    /// The URL to ask, with the endpoints that stand in for the two known hosts.
    pub(crate) fn at_endpoints(&self, hugging_face: &Url, civitai: &Url) -> Url {
        match hosts::site_of(&self.0) {
            Some(Site::HuggingFace) => moved_to(&self.0, hugging_face),
            // Its sites list different models: none stands in for another.
            Some(Site::Civitai) if hosts::site_of(civitai) != Some(Site::Civitai) => moved_to(&self.0, civitai),
            _ => self.0.clone(),
        }
    }
}

impl FromStr for SourceUrl {
    type Err = SourceUrlError;

    fn from_str(text: &str) -> Result<Self, SourceUrlError> {
        Self::parse(text)
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SourceUrl({self})")
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.public())
    }
}

/// A URL without query, fragment and credentials.
pub(crate) fn public_form(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// The repository in a path that holds `/resolve/`.
pub(crate) fn repo_of_path(path: &str) -> Option<String> {
    let (repo, _) = path.split_once("/resolve/")?;
    let repo = repo.trim_matches('/');
    (!repo.is_empty()).then(|| repo.to_owned())
}

/// The model of a Civitai page that names no version, when the URL is one.
pub(crate) fn civitai_model_without_version(url: &Url) -> Option<u64> {
    url.path().rsplit_once("/api/v1/models/").and_then(|(_, id)| id.parse().ok())
}

/// The link without the quotes or brackets that it was copied with.
fn unquoted(text: &str) -> &str {
    let mut text = text.trim();
    for (open, close) in
        [('"', '"'), ('\'', '\''), ('`', '`'), ('<', '>'), ('\u{201c}', '\u{201d}'), ('\u{ab}', '\u{bb}')]
    {
        if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
            text = inner.trim();
        }
    }
    text
}

fn moved_to(url: &Url, endpoint: &Url) -> Url {
    let mut moved = endpoint.clone();
    moved.set_path(&format!("{}{}", endpoint.path().trim_end_matches('/'), url.path()));
    moved.set_query(url.query());
    moved
}

fn hugging_face_link(rest: &str) -> Result<String, SourceUrlError> {
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (prefix, rest) = ["datasets/", "spaces/"]
        .iter()
        .find_map(|kind| rest.strip_prefix(kind).map(|rest| (*kind, rest)))
        .unwrap_or(("", rest));
    let mut parts = rest.splitn(3, '/');
    let (Some(org), Some(repo), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SourceUrlError::HuggingFaceForm);
    };
    let (repo, path, revision) = match (repo.split_once('@'), path.rsplit_once('@')) {
        (Some((repo, revision)), _) => (repo, path, revision),
        (None, Some((path, revision))) => (repo, path, revision),
        (None, None) => (repo, path, "main"),
    };
    if [org, repo, path, revision].iter().any(|part| part.is_empty() || *part == "..") {
        return Err(SourceUrlError::HuggingFaceForm);
    }
    let path = path.split('/').map(|part| utf8_percent_encode(part, SEGMENT).to_string()).collect::<Vec<_>>().join("/");
    let revision = utf8_percent_encode(revision, ONE_SEGMENT);
    Ok(format!("https://{HUGGING_FACE}/{prefix}{org}/{repo}/resolve/{revision}/{path}"))
}

fn air_link(rest: &str) -> Result<String, SourceUrlError> {
    let parts: Vec<&str> = rest.split(':').collect();
    let [_, _, source, id] = parts.as_slice() else {
        return Err(SourceUrlError::AirForm);
    };
    if source.eq_ignore_ascii_case("huggingface") {
        return Err(SourceUrlError::AirOfRepository);
    }
    if !source.eq_ignore_ascii_case("civitai") {
        return Err(SourceUrlError::AirForm);
    }
    let id = id.split('.').next().unwrap_or_default();
    let (model, version) = id.split_once('@').map_or((id, None), |(model, version)| (model, Some(version)));
    let number = |text: &str| text.parse::<u64>().map_err(|_| SourceUrlError::AirForm);
    Ok(match version {
        Some(version) => format!("https://{CIVITAI}/api/download/models/{}", number(version)?),
        None => format!("https://{CIVITAI}/api/v1/models/{}", number(model)?),
    })
}

#[cfg(test)]
#[path = "source_url_tests.rs"]
mod tests;
