//! The running server, asked through its own REST API.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use service::access::read_shell_token;

use super::CliError;
use crate::dto::{error::ErrorEnvelope, health::Health};

/// How long a server on this machine has to take a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it has to answer: an install asks other servers for sizes first.
const ANSWER: Duration = Duration::from_secs(30);

/// A server that answers.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    client: Client,
    address: String,
    token: Option<String>,
}

impl Remote {
    /// The server at one of these addresses, if there is one and it is ours.
    pub(super) async fn find(addresses: &[SocketAddr]) -> Option<Self> {
        crate::tls::install_provider();
        let client = Client::builder().no_proxy().connect_timeout(CONNECT).timeout(ANSWER).build().ok()?;
        for address in addresses {
            let remote =
                Self { client: client.clone(), address: format!("http://{}", reachable(*address)), token: None };
            let health: Result<Health, CliError> = remote.ask(Method::GET, "/health", None::<&()>).await;
            if health.is_ok_and(|health| health.service == "comfyui-dashboard") {
                return Some(remote);
            }
        }
        None
    }

    /// The same server, asked with the token that it keeps beside this database. Who may read that is its admin.
    pub(super) fn with_shell_token(self, database: &Path) -> Self {
        let token = read_shell_token(database).unwrap_or_else(|cause| {
            tracing::warn!(%cause, "the token of the running server cannot be read; it is asked without");
            None
        });
        Self { token, ..self }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks for something; a refusal becomes the error that the server named.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CliError> {
        let mut request: RequestBuilder = self.client.request(method, format!("{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |cause| CliError::Unreachable { address: self.address.clone(), cause };
        let answer = request.send().await.map_err(unreachable)?;
        if answer.status().is_success() {
            return answer.json().await.map_err(unreachable);
        }
        let refused: ErrorEnvelope = answer.json().await.map_err(unreachable)?;
        Err(CliError::Refused { code: refused.error.code, message: refused.error.message })
    }
}

/// An address to connect to: a server that listens everywhere is here too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
