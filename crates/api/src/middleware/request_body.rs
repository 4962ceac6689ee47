//! The body of a request on its way in. The connection of a body that breaks ends with the break, so the refusal is given in
//! that very moment. The connection of a body that was not read to its end is closed with the answer: the framework would
//! otherwise read the rest of a chunked one for as long as it trickles.

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{StatusCode, header},
    middleware::Next,
    web::Data,
};
use bytes::Bytes;
use futures_util::{Stream, future::poll_fn};
use service::Dashboard;

use super::error_envelope::body_of;
use super::request::{Asked, HEADER};
use crate::dto::error::ErrorEnvelope;
use crate::error::ApiError;

/// As many bytes are fetched ahead of the reader: a break behind them is found in time to be answered.
const MAX_WAITING_BYTES: usize = 32 << 10;

/// Passes the body on, answers where it breaks, and keeps the rest of it until the answer is sent.
pub async fn guard<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // What comes after the handshake of a socket is no body. Only a chunked one could trickle where that is refused.
    let is_socket = request.head().upgrade() && !request.chunked().unwrap_or(false);
    let payload = request.take_payload();
    if is_socket || matches!(payload, Payload::None) {
        request.set_payload(payload);
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let body = Rc::new(RefCell::new(Body {
        payload,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        end: None,
        reader: None,
        pump: None,
    }));
    request.set_payload(Payload::Stream { payload: Box::pin(BodyReader(Rc::clone(&body))) });
    let id = request.extensions().get::<Asked>().map(|asked| asked.id.to_string()).unwrap_or_default();
    let now = request.app_data::<Data<Dashboard>>().map(|dashboard| dashboard.now()).unwrap_or_default();
    let _abandoned_at_the_end = Abandon(Rc::clone(&body));
    tokio::select! {
        biased;
        broken = poll_fn(|context| body.borrow_mut().pump(context)) => Err(BrokenBody::new(&broken, &id, now).into()),
        answer = next.call(request) => {
            let answer = answer?.map_into_boxed_body();
            let is_whole = matches!(body.borrow().end, Some(End::Whole));
            let rest = (!is_whole).then(|| Rc::clone(&body));
            Ok(answer.map_body(|_, content| BoxBody::new(AnswerBeforeRest { content, _rest: rest })))
        }
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

/// A body between the connection and its reader.
struct Body {
    payload: Payload,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    end: Option<End>,
    reader: Option<Waker>,
    pump: Option<Waker>,
}

impl Body {
    /// Fetches chunks for as long as the reader takes them; ready when the body breaks.
    fn pump(&mut self, context: &mut Context<'_>) -> Poll<PayloadError> {
        while self.end.is_none() && self.waiting_bytes < MAX_WAITING_BYTES {
            match Pin::new(&mut self.payload).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.waiting_bytes += chunk.len();
                    self.waiting.push_back(chunk);
                }
                Poll::Ready(Some(Err(broken))) => {
                    self.finish(End::Broken);
                    return Poll::Ready(broken);
                }
                Poll::Ready(None) => self.finish(End::Whole),
                Poll::Pending => return Poll::Pending,
            }
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        self.pump = Some(context.waker().clone());
        Poll::Pending
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

/// The body as extractors read it.
struct BodyReader(Rc<RefCell<Body>>);

impl Stream for BodyReader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.borrow_mut();
        if let Some(chunk) = body.waiting.pop_front() {
            body.waiting_bytes -= chunk.len();
            body.pump.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(Ok(chunk)));
        }
        match body.end {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken) => Poll::Ready(Some(Err(PayloadError::Incomplete(None)))),
            None => {
                body.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Nobody fetches chunks any more once this is dropped.
struct Abandon(Rc<RefCell<Body>>);

impl Drop for Abandon {
    fn drop(&mut self) {
        let mut body = self.0.borrow_mut();
        if body.end.is_none() {
            body.finish(End::Broken);
        }
    }
}

/// An answer that keeps the rest of its request: a body that is neither read nor dropped makes the framework close.
struct AnswerBeforeRest {
    content: BoxBody,
    _rest: Option<Rc<RefCell<Body>>>,
}

impl MessageBody for AnswerBeforeRest {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.content.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.content).poll_next(context)
    }
}

/// The refusal of a body that broke. It has its whole answer: the layers that would render it are gone with their request.
#[derive(Debug)]
struct BrokenBody {
    id: String,
    envelope: ErrorEnvelope,
}

impl BrokenBody {
    fn new(broken: &PayloadError, id: &str, now: jiff::Timestamp) -> Self {
        let refusal = ApiError::invalid("body", format!("it cannot be read: {broken}"));
        tracing::info!(status = StatusCode::BAD_REQUEST.as_u16(), error = %broken, "answered a body that broke");
        Self { id: id.to_owned(), envelope: ErrorEnvelope { error: body_of(&refusal, id, now) } }
    }
}

impl std::fmt::Display for BrokenBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.envelope.error.message)
    }
}

impl ResponseError for BrokenBody {
    fn status_code(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.insert_header((HEADER, self.id.as_str()));
        answer.insert_header((header::CACHE_CONTROL, "no-store"));
        answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        answer.force_close().json(&self.envelope)
    }
}
