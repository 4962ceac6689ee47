//! What carries requests: the HTTP client, or whatever stands in for the network.

use std::fmt::Debug;
use std::pin::Pin;

use reqwest::{Client, Request, Response};

use crate::http::classify::{self, OpenError};
use crate::http::source::host_of;

/// The response to a request that is under way.
pub(crate) type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response, OpenError>> + Send + 'a>>;

/// Sends requests. Follows no redirects, retries nothing.
pub(crate) trait Network: Debug + Send + Sync {
    /// Sends one request and waits for the head of its response.
    fn send(&self, request: Request) -> Sending<'_>;
}

impl Network for Client {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(async move {
            let host = host_of(request.url());
            self.execute(request).await.map_err(|error| classify::of_network(&error, host))
        })
    }
}
