//! The hosts that models are linked at: what each is called, which of its pages stand for a file, whose token it takes, and
//! what it means when it sends a page. One table; a new host is a new row. Pure.

use url::Url;

use crate::SourceUrlError;

/// What a page is called in errors.
pub(crate) const AN_HTML_PAGE: &str = "an HTML page";

/// A host that is known by name.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its names, without `www.`.
    names: &'static [&'static str],
    pub(crate) site: Site,
    /// From a page to the file behind it. What is a file already stays as it is.
    file_of: fn(Url) -> Result<Url, SourceUrlError>,
    /// Why it may send a page where a file was asked for, and what to do.
    page_means: &'static str,
}

/// Who runs a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    HuggingFace,
    /// Offers what Hugging Face has, and takes none of its tokens.
    HuggingFaceMirror,
    Civitai,
    GitHub,
    ModelScope,
    Dropbox,
    GoogleDrive,
}

pub(crate) const HUGGING_FACE: &str = "huggingface.co";
pub(crate) const CIVITAI: &str = "civitai.com";

const HOSTS: [Host; 7] = [
    Host {
        names: &[HUGGING_FACE, "hf.co"],
        site: Site::HuggingFace,
        file_of: hugging_face,
        page_means: "the link is a page; give one that holds /resolve/ or /blob/",
    },
    Host {
        names: &["hf-mirror.com"],
        site: Site::HuggingFaceMirror,
        file_of: hugging_face_files,
        page_means: "the link is a page; give one that holds /resolve/ or /blob/",
    },
    Host {
        names: &[CIVITAI, "civitai.red", "civitai.green"],
        site: Site::Civitai,
        file_of: civitai,
        page_means: "the model may need a login or be in early access",
    },
    Host {
        names: &["github.com"],
        site: Site::GitHub,
        file_of: github,
        page_means: "the link is a page; give one that holds /blob/, /raw/ or /releases/download/",
    },
    Host {
        names: &["modelscope.cn", "modelscope.ai"],
        site: Site::ModelScope,
        file_of: modelscope,
        page_means: "the link is a page; give one that holds /resolve/ or /file/view/",
    },
    Host {
        names: &["dropbox.com"],
        site: Site::Dropbox,
        file_of: dropbox,
        page_means: "the shared link may have expired, or its owner may allow no downloads",
    },
    Host {
        names: &["drive.google.com", "docs.google.com", "drive.usercontent.google.com"],
        site: Site::GoogleDrive,
        file_of: google_drive,
        page_means: "the file may not be shared with everyone, or too many people fetched it today",
    },
];

/// The row of a URL's host.
pub(crate) fn of(url: &Url) -> Option<&'static Host> {
    of_name(url.host_str()?)
}

fn of_name(host: &str) -> Option<&'static Host> {
    let host = host.trim_end_matches('.');
    let host = host.strip_prefix("www.").unwrap_or(host);
    HOSTS.iter().find(|row| row.names.contains(&host))
}

/// The site of a URL, where it is one that is known by name.
pub(crate) fn site_of(url: &Url) -> Option<Site> {
    of(url).map(|host| host.site)
}

/// Whether a link without a scheme begins with a host of the table.
pub(crate) fn begins_with_host(text: &str) -> bool {
    let host = text.split(['/', '?', '#']).next().unwrap_or_default();
    of_name(&host.to_ascii_lowercase()).is_some()
}

/// The file that a URL stands for.
pub(crate) fn file_of(url: Url) -> Result<Url, SourceUrlError> {
    match of(&url) {
        Some(host) => (host.file_of)(url),
        None => Ok(url),
    }
}

/// Why a host may have sent a page, and what to do.
pub(crate) fn page_advice(host: &str) -> &'static str {
    let plain = "the link is a page, or the host asks for a login; give the address of the file itself";
    of_name(host).map_or(plain, |row| row.page_means)
}

fn page(host: &'static str, takes: &'static str) -> SourceUrlError {
    SourceUrlError::Page { host, takes }
}

fn hugging_face(mut url: Url) -> Result<Url, SourceUrlError> {
    url.set_host(Some(HUGGING_FACE)).map_err(SourceUrlError::Unreadable)?;
    hugging_face_files(url)
}

fn hugging_face_files(mut url: Url) -> Result<Url, SourceUrlError> {
    let path = url.path().to_owned();
    if path.starts_with("/api/") || path.contains("/resolve/") {
        return Ok(url);
    }
    let Some((repo, rest)) = path.split_once("/blob/").or_else(|| path.split_once("/raw/")) else {
        return Err(page("Hugging Face", "give a link that holds /resolve/ or /blob/"));
    };
    url.set_path(&format!("{repo}/resolve/{rest}"));
    Ok(url)
}

fn civitai(mut url: Url) -> Result<Url, SourceUrlError> {
    let refused = || page("Civitai", "give /models/ID?modelVersionId=VERSION or the download link");
    let host = url.host_str().unwrap_or(CIVITAI).trim_end_matches('.').trim_start_matches("www.").to_owned();
    url.set_host(Some(&host)).map_err(SourceUrlError::Unreadable)?;
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let path = match segments.as_slice() {
        ["api", "download", ..] => return Ok(url),
        ["models", model, ..] | ["api", "v1", "models", model] => {
            let version = query_value(&url, "modelVersionId");
            let number = |text: &str| text.parse::<u64>().map_err(|_| refused());
            match version {
                Some(version) => format!("/api/download/models/{}", number(&version)?),
                None => format!("/api/v1/models/{}", number(model)?),
            }
        }
        _ => return Err(refused()),
    };
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

/// `/raw/` leads to the bytes wherever they are kept, Git LFS included.
fn github(mut url: Url) -> Result<Url, SourceUrlError> {
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let is_page = match segments.as_slice() {
        [owner, repo, "blob", reference, file, ..] if !file.is_empty() => {
            let rest = segments[5..].iter().fold(String::new(), |rest, segment| rest + "/" + segment);
            let path = format!("/{owner}/{repo}/raw/{reference}/{file}{rest}");
            url.set_path(&path);
            url.set_query(None);
            return Ok(url);
        }
        [_, _, "releases", rest @ ..] => !rest.contains(&"download"),
        [_, _, "tree" | "blob" | "issues" | "pull" | "pulls" | "discussions" | "wiki" | "commit" | "commits", ..] => {
            true
        }
        segments => segments.iter().filter(|segment| !segment.is_empty()).count() <= 2,
    };
    if is_page {
        return Err(page("GitHub", "give a link that holds /blob/, /raw/ or /releases/download/"));
    }
    Ok(url)
}

fn modelscope(mut url: Url) -> Result<Url, SourceUrlError> {
    let path = url.path().to_owned();
    if path.starts_with("/api/") || path.contains("/resolve/") {
        return Ok(url);
    }
    let Some((repo, rest)) = path.split_once("/file/view/").filter(|(_, rest)| rest.contains('/')) else {
        return Err(page("ModelScope", "give a link that holds /resolve/ or /file/view/"));
    };
    // Its pages write the folders of a file as one segment.
    let rest = rest.replace("%2F", "/").replace("%2f", "/");
    url.set_path(&format!("{repo}/resolve/{rest}"));
    url.set_query(None);
    Ok(url)
}

fn dropbox(mut url: Url) -> Result<Url, SourceUrlError> {
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    match segments.as_slice() {
        ["s", _, ..] | ["scl", "fi", _, ..] => {
            let kept: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(name, _)| name != "dl" && name != "raw")
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            url.query_pairs_mut().clear().extend_pairs(kept).append_pair("dl", "1");
            Ok(url)
        }
        _ => Err(page("Dropbox", "give the shared link of one file (/s/ or /scl/fi/)")),
    }
}

fn google_drive(url: Url) -> Result<Url, SourceUrlError> {
    let refused = || page("Google Drive", "give the shared link of one file (/file/d/ID)");
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let id = match segments.as_slice() {
        ["file", "d", id, ..] | ["file", "u", _, "d", id, ..] => Some((*id).to_owned()),
        ["open" | "uc" | "download"] => query_value(&url, "id"),
        _ => None,
    };
    let id = id.filter(|id| !id.is_empty()).ok_or_else(refused)?;
    let mut file = Url::parse("https://drive.usercontent.google.com/download").map_err(SourceUrlError::Unreadable)?;
    // Without `confirm`, files that are too large to be scanned for viruses are a page that asks.
    file.query_pairs_mut().append_pair("id", &id).append_pair("export", "download").append_pair("confirm", "t");
    if let Some(key) = query_value(&url, "resourcekey") {
        file.query_pairs_mut().append_pair("resourcekey", &key);
    }
    Ok(file)
}

fn query_value(url: &Url, wanted: &str) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}
