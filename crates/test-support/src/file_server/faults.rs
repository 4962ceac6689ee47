//! Rules about the transport: connections that end, fall silent, drip, wait; and answers that are not the file.

use super::gate::Gate;
use super::plan::{Delivery, Ending, Framing};
use super::reply::{Reply, RetryAfter};
use super::route::Route;
use super::when::When;
use super::{Content, Request};
use std::time::Duration;

/// Connections that fail.
impl Route {
    /// The connection is closed after `bytes` of the body.
    pub fn cut_after(&self, bytes: u64, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.ending = Some((bytes, Ending::Cut)))
    }

    /// The connection is reset (RST) after `bytes` of the body.
    pub fn reset_after(&self, bytes: u64, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.ending = Some((bytes, Ending::Reset)))
    }

    /// After `bytes` of the body never another byte comes, and the connection stays open. 0: silent between head and body.
    pub fn stall_after(&self, bytes: u64, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.ending = Some((bytes, Ending::Stall)))
    }

    /// Not even a head is sent, and the connection stays open.
    pub fn stall_before_head(&self, when: When) -> Route {
        self.delivery(when, |delivery| delivery.stall_before_head = true)
    }

    /// `bytes` of body per `interval`.
    pub fn trickle(&self, bytes: u64, interval: Duration, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.trickle = Some((bytes, interval)))
    }

    /// At most so many bytes a second on each connection, without burst.
    pub fn rate(&self, bytes_per_second: u64, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.rate = Some(bytes_per_second))
    }

    /// So long before the head is sent.
    pub fn delay(&self, delay: Duration, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.delay = delay)
    }

    /// The byte at this offset of the file is sent inverted.
    pub fn corrupt_byte(&self, offset: u64, when: When) -> Route {
        self.delivery(when, move |delivery| delivery.corrupted.push(offset))
    }

    /// Byte `offset` of the file is not delivered, to anyone, before the gate is opened.
    #[must_use]
    pub fn hold_at(&self, offset: u64) -> Gate {
        let gate = Gate::at_offset(offset);
        let held = gate.clone();
        self.delivery(When::Always, move |delivery| delivery.gates.push(held.clone()));
        gate
    }

    fn delivery(&self, when: When, change: impl Fn(&mut Delivery) + Send + Sync + 'static) -> Route {
        self.rule(when, move |plan, _| change(&mut plan.delivery))
    }
}

/// Answers that are not the file.
impl Route {
    /// This answer instead of the file.
    pub fn reply(&self, reply: Reply, when: When) -> Route {
        self.rule(when, move |plan, _| plan.reply = Some(reply.clone()))
    }

    /// A bare status.
    pub fn status(&self, status: u16, when: When) -> Route {
        self.reply(Reply::status(status), when)
    }

    /// A status with `Retry-After`.
    pub fn retry_later(&self, status: u16, after: RetryAfter, when: When) -> Route {
        self.rule(when, move |plan, _| plan.reply = Some(Reply::status(status).retry_after(after)))
    }

    /// Every `HEAD` gets this status.
    pub fn refuse_head(&self, status: u16) -> Route {
        self.status(status, When::Always.matching(|request| request.method == "HEAD"))
    }

    /// A 302 to any address: another route's path, or another host.
    pub fn redirect(&self, location: impl Into<String>, when: When) -> Route {
        self.reply(Reply::redirect(location), when)
    }

    /// A 302 to itself, for ever.
    pub fn redirect_loop(&self) -> Route {
        self.redirect(self.path().to_owned(), When::Always)
    }

    /// `hops` redirects (302) one after the other before the file comes.
    pub fn redirect_hops(&self, hops: u32) -> Route {
        self.rule(When::Always, move |plan, request: &Request| {
            let hop: u32 = request.query("hop").and_then(|hop| hop.parse().ok()).unwrap_or(0);
            if hop < hops {
                plan.reply = Some(Reply::redirect(format!("{}?hop={}", request.path(), hop + 1)));
            }
        })
    }

    /// A page that asks to sign in, with status 200.
    pub fn login_page(&self, when: When) -> Route {
        self.reply(Reply::login_page(), when)
    }

    /// A JSON error with status 200.
    pub fn json_error(&self, when: When) -> Route {
        self.reply(Reply::json(200, &serde_json::json!({ "error": "the file is not available" })), when)
    }

    /// The git LFS pointer of the file.
    pub fn lfs_pointer(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.reply = Some(Reply::lfs_pointer(&plan.content)))
    }

    /// Status 200 and nothing else.
    pub fn empty_body(&self, when: When) -> Route {
        self.status(200, when)
    }

    /// Another version of the file, with its own validators.
    pub fn other_content(&self, content: Content, when: When) -> Route {
        self.rule(when, move |plan, _| plan.content = content.clone())
    }
}

/// Bodies whose length is not what it should be.
impl Route {
    /// No `Content-Length`: the body comes in chunks.
    pub fn chunked(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.framing = Framing::Chunked)
    }

    /// No `Content-Length`: the body ends with the connection.
    pub fn length_by_close(&self, when: When) -> Route {
        self.rule(when, |plan, _| plan.framing = Framing::UntilClose)
    }

    /// `Content-Length` is wrong by so many bytes: positive promises more than comes, negative less.
    pub fn wrong_length(&self, by: i64, when: When) -> Route {
        self.rule(when, move |plan, _| plan.length_error = by)
    }

    /// So many bytes follow the last one of the file or range; `Content-Length` counts them.
    pub fn extra_bytes(&self, bytes: u64, when: When) -> Route {
        self.rule(when, move |plan, _| plan.extra_bytes = bytes)
    }
}
