//! Answers made by hand: a status, headers, a body; and the pages that the world sends instead of a file.

use super::content::Content;
use std::time::{Duration, SystemTime};

/// A whole answer that takes the place of the file.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Content,
}

/// The two forms of `Retry-After`.
#[derive(Clone, Copy, Debug)]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date, so many seconds after the answer is made.
    DateIn(u64),
}

impl Reply {
    /// A status with an empty body.
    #[must_use]
    pub fn status(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Content::bytes([]) }
    }

    /// A 302 to `location`.
    #[must_use]
    pub fn redirect(location: impl Into<String>) -> Reply {
        Reply::status(302).header("Location", location)
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, document: &serde_json::Value) -> Reply {
        Reply::status(status).header("Content-Type", "application/json; charset=utf-8").body(document.to_string())
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Reply {
        Reply::status(status).header("Content-Type", "text/plain; charset=utf-8").body(text)
    }

    /// An HTML page.
    #[must_use]
    pub fn page(status: u16, html: &str) -> Reply {
        Reply::status(status).header("Content-Type", "text/html; charset=utf-8").body(html)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Reply {
        self.body = Content::bytes(body);
        self
    }

    /// Asks the client to come back later.
    #[must_use]
    pub fn retry_after(self, when: RetryAfter) -> Reply {
        let value = match when {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::DateIn(seconds) => httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds)),
        };
        self.header("Retry-After", value)
    }

    /// The page that a file host shows to who is not logged in.
    #[must_use]
    pub fn login_page() -> Reply {
        Reply::page(
            200,
            "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
             <body><form action=\"/login\"><input name=\"user\"></form></body></html>\n",
        )
    }

    /// The three lines that stand in a git repository for a large file.
    #[must_use]
    pub fn lfs_pointer(of: &Content) -> Reply {
        let text =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n", of.sha256(), of.size());
        Reply::text(200, &text)
    }
}
