//! Rules about the head: ranges that are ignored or answered wrongly, validators that change or lie, names, encodings.

use super::route::Route;
use super::when::When;

/// What `Content-Range` says while the body is the one asked for.
#[derive(Clone, Debug)]
pub enum ContentRange {
    /// The first byte is this much too low.
    Early(u64),
    /// The first byte is this much too high.
    Late(u64),
    /// The last byte is wrong by so much.
    WrongEnd(i64),
    /// The total is wrong by so much.
    WrongTotal(i64),
    /// `bytes first-last/*`.
    UnknownTotal,
    /// There is no such header.
    Missing,
    /// Two headers, the second for another range.
    Doubled,
    /// `bytes -first-last/total`.
    Negative,
    /// Any text at all.
    Text(String),
}

/// What the answer says about the version it belongs to.
#[derive(Clone, Debug)]
pub enum Validator {
    /// A strong `ETag` that follows from the content, and a `Last-Modified`: the default.
    Strong,
    /// The same tag, marked weak, and a `Last-Modified`.
    Weak,
    /// This `ETag`, quotes included, whatever the content.
    Tag(String),
    /// A new strong `ETag` in each answer, as from hosts that make one per signed address.
    TagPerRequest,
    /// `Last-Modified` alone, with this HTTP date.
    LastModified(String),
    /// Neither.
    Nothing,
}

/// Answers to a `Range`.
impl Route {
    /// 200 and the whole file, whatever range was asked.
    pub fn ignore_range(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.ignores_range = true)
    }

    /// `Content-Range` says something else than the body is.
    pub fn content_range(&self, said: ContentRange, when: When) -> Route {
        self.rule(when, move |plan, _| plan.content_range = Some(said.clone()))
    }

    /// Another range than asked, truly named: it starts so many bytes later (earlier, if negative).
    pub fn shift_range(&self, by: i64, when: When) -> Route {
        self.rule(when, move |plan, _| plan.range_shift = by)
    }

    /// The head is right, the body starts so many bytes later (earlier, if negative): only its bytes show it.
    pub fn shift_body(&self, by: i64, when: When) -> Route {
        self.rule(when, move |plan, _| plan.silent_shift = by)
    }

    /// 416 to any range; with a page as its body, or without one.
    pub fn unsatisfiable(&self, with_page: bool, when: When) -> Route {
        self.rule(when, move |plan, request| {
            plan.unsatisfiable = request.header("range").is_some();
            plan.refusal_page = with_page;
        })
    }

    /// An honest 416, when it comes, has a page as its body.
    pub fn page_with_416(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.refusal_page = true)
    }

    /// A range comes as a `multipart/byteranges` of one part.
    pub fn multipart(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.multipart = true)
    }
}

/// Everything else in the head.
impl Route {
    /// What the answer says about the version it belongs to.
    pub fn validator(&self, validator: Validator, when: When) -> Route {
        self.rule(when, move |plan, _| plan.validator = validator.clone())
    }

    /// The body comes gzip-encoded, and says so. Ranges are ignored.
    pub fn gzip(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.gzip = true)
    }

    /// `Content-Disposition`, as given.
    pub fn disposition(&self, value: &str, when: When) -> Route {
        self.header("Content-Disposition", value, when)
    }

    /// One more header; one that the server sends by itself is replaced.
    pub fn header(&self, name: &str, value: &str, when: When) -> Route {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.rule(when, move |plan, _| {
            plan.left_out.push(name.clone());
            plan.headers.push((name.clone(), value.clone()));
        })
    }

    /// The server does not send the header that it would send by itself.
    pub fn without_header(&self, name: &str, when: When) -> Route {
        let name = name.to_owned();
        self.rule(when, move |plan, _| plan.left_out.push(name.clone()))
    }
}
