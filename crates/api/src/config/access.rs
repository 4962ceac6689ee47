//! Who may do what.

use clap::Args;

use super::values::{Networks, Origins, SecretText, flag, networks, origins};

/// Who may do what.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// Password of the admin; with it, nothing is served without credentials
    #[arg(long, env, global = true, value_name = "PASSWORD", value_parser = secret, hide_env_values = true)]
    pub access_password: Option<SecretText>,
    /// Serve everybody who reaches the server as its admin, and listen wherever asked
    #[arg(long, global = true)]
    pub allow_unauthenticated: bool,
    /// Make a password and print it once where others can reach the server and there is none: 1 or 0
    #[arg(long, env, global = true, value_name = "0|1", value_parser = flag, num_args = 0..=1, default_missing_value = "1", default_value = "0", hide_env_values = true)]
    pub generate_password: bool,
    /// Origins of pages that may use the API with cookies, separated by commas
    #[arg(long, env, global = true, value_name = "ORIGINS", value_parser = origins, hide_env_values = true)]
    pub cors_origins: Option<Origins>,
    /// Proxies whose X-Forwarded-For is believed, separated by commas
    #[arg(long, env, global = true, value_name = "CIDRS", value_parser = networks, hide_env_values = true)]
    pub trusted_proxies: Option<Networks>,
    /// Requests a minute of an address without credentials; 0: any number
    #[arg(long, env, global = true, value_name = "N", value_parser = number, default_value = "100", hide_env_values = true)]
    pub rate_limit_anonymous: u32,
    /// Requests a minute of a key or session; 0: any number
    #[arg(long, env, global = true, value_name = "N", value_parser = number, default_value = "1000", hide_env_values = true)]
    pub rate_limit_authenticated: u32,
    /// Connections of one address [default: a quarter of what the process can afford, 2048 at most]
    #[arg(long, env, global = true, value_name = "N", value_parser = count, hide_env_values = true)]
    pub max_connections_per_address: Option<usize>,
    /// Sockets of one key, session or address
    #[arg(long, env, global = true, value_name = "N", value_parser = count, default_value = "256", hide_env_values = true)]
    pub max_sockets_per_client: usize,
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "it takes a whole number from 0".to_owned())
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "it takes a whole number from 1".to_owned())
}

fn secret(text: &str) -> Result<SecretText, String> {
    Ok(SecretText(text.to_owned()))
}
