//! The page: the files under `static/`, inside the binary. Owns their names, types and tags; knows nothing of HTTP servers, and
//! the page itself knows only the public API.
//!
//! A development build reads the files from disk at each request, so that a reload shows an edit; a release build carries them.

use std::borrow::Cow;

use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A file of the page, ready to be sent.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The content, uncompressed.
    pub bytes: Cow<'static, [u8]>,
    /// For `Content-Type`; text is UTF-8.
    pub content_type: String,
    /// For `ETag`, quoted: a strong tag, the content's SHA-256.
    pub etag: String,
}

/// The file at `path` (`js/app.js`: no leading slash), or `None` if the page has none there.
pub fn asset(path: &str) -> Option<Asset> {
    Files::get(path).map(|file| describe(path, file))
}

/// The document that a browser opens first. It names every other file relative to itself, so it works below any path.
///
/// # Panics
/// Never in a release build, which carries the file; a development build panics if `static/index.html` was removed.
pub fn index() -> Asset {
    asset("index.html").expect("static/index.html is a part of this crate")
}

/// The path of every file of the page.
pub fn paths() -> impl Iterator<Item = Cow<'static, str>> {
    Files::iter()
}

fn describe(path: &str, file: EmbeddedFile) -> Asset {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let text = kind.type_() == "text" || kind.subtype() == "javascript" || kind.suffix().is_some();
    let content_type = if text { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let etag = format!("\"{}\"", hexadecimal(&file.metadata.sha256_hash()));
    Asset { bytes: file.data, content_type, etag }
}

fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
