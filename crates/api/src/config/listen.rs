//! Where the server listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;

const DEFAULT_PORT: u16 = 8082;

/// Where the server listens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ListenSettings {
    /// Address and port to listen at; may be given several times. Without it: port 8082 of localhost, IPv4 and IPv6
    #[arg(long, global = true, value_name = "ADDR:PORT", value_parser = address)]
    pub listen: Vec<SocketAddr>,
    /// Address to listen at, where --listen says nothing
    #[arg(long, env, global = true, value_name = "ADDR", value_parser = host, hide_env_values = true)]
    pub dashboard_host: Option<IpAddr>,
    /// Port to listen at, where --listen says nothing
    #[arg(long, env, global = true, value_name = "PORT", value_parser = port, hide_env_values = true)]
    pub dashboard_port: Option<u16>,
}

impl ListenSettings {
    /// The addresses to listen at.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        if !self.listen.is_empty() {
            return self.listen.clone();
        }
        let port = self.dashboard_port.unwrap_or(DEFAULT_PORT);
        match self.dashboard_host {
            Some(host) => vec![SocketAddr::new(host, port)],
            None => vec![
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
            ],
        }
    }

    /// Whether nobody named an address.
    pub fn is_default(&self) -> bool {
        self.listen.is_empty() && self.dashboard_host.is_none()
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .or_else(|_| match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => text.parse(),
        })
        .map_err(|_| "it takes an address and a port such as 127.0.0.1:8082 or [::1]:8082".to_owned())
}

fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| "it takes an address such as 127.0.0.1 or ::1".to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "it takes a port from 0 to 65535".to_owned())
}
