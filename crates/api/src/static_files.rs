//! What a browser loads: the page of the crate `web`, and the page that browses the interface's document. All of it comes
//! out of the binary, open to everybody, and holds no fact about this machine.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, EntityTag, Header, IfNoneMatch},
};

/// Where the page that browses the document lives.
pub(crate) const DOCS: &str = "/docs";

/// Own files instead of the bundle's: nothing inline, so that the strict content policy holds.
const DOCS_PAGE: &str = include_str!("static_files/page.html");
const DOCS_START: &str = include_str!("static_files/start.js");

/// A file, and what a browser must know of it.
struct StaticFile {
    bytes: Cow<'static, [u8]>,
    content_type: Cow<'static, str>,
    etag: Option<String>,
    gzipped: bool,
}

/// The file at this address, where there is one.
pub(crate) fn find(request: &HttpRequest) -> Option<HttpResponse> {
    let path = request.path();
    let file = match path.strip_prefix(DOCS) {
        Some(rest) => docs_file(rest)?,
        None if path == "/" => page_file(::web::index()),
        None => page_file(::web::asset(path.trim_start_matches('/'))?),
    };
    Some(answer(request, file))
}

fn page_file(asset: ::web::Asset) -> StaticFile {
    StaticFile { bytes: asset.bytes, content_type: asset.content_type.into(), etag: Some(asset.etag), gzipped: false }
}

fn docs_file(rest: &str) -> Option<StaticFile> {
    let own = |text: &'static str, content_type: &'static str| StaticFile {
        bytes: text.as_bytes().into(),
        content_type: content_type.into(),
        etag: None,
        gzipped: false,
    };
    match rest {
        "" | "/" => Some(own(DOCS_PAGE, "text/html; charset=utf-8")),
        "/start.js" => Some(own(DOCS_START, "text/javascript; charset=utf-8")),
        _ => bundled(rest.strip_prefix('/')?),
    }
}

/// A file of the document browser, as its makers publish it.
fn bundled(name: &str) -> Option<StaticFile> {
    let settings = Arc::new(utoipa_swagger_ui::Config::from("/api/openapi.json"));
    let file = utoipa_swagger_ui::serve(name, settings).ok()??;
    Some(StaticFile {
        bytes: file.bytes.into_owned().into(),
        content_type: file.content_type.into(),
        etag: None,
        gzipped: file.gzpipped,
    })
}

fn answer(request: &HttpRequest, file: StaticFile) -> HttpResponse {
    let tag = file.etag.map(|etag| EntityTag::new_strong(etag.trim_matches('"').to_owned()));
    let is_known = tag.as_ref().is_some_and(|tag| is_known(request, tag));
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((header::CACHE_CONTROL, "no-cache"));
    if let Some(tag) = tag {
        answer.insert_header(header::ETag(tag));
    }
    if is_known {
        return answer.finish();
    }
    if file.gzipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    answer.content_type(file.content_type.as_ref()).body(file.bytes.into_owned())
}

/// Whether the browser says that it has this version.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(tag)),
        Err(_) => false,
    }
}
