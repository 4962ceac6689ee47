//! The one list of settings: what each is called, what it takes, what it is without being said. Every setting is an
//! environment variable and a flag of the same name. Nothing else in the product reads the environment or the arguments.

mod access;
mod comfyui;
mod downloads;
mod listen;
mod proxies;
mod refusal;
mod service_settings;
mod storage;
pub mod values;

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::{Args, CommandFactory, FromArgMatches, Parser};

pub use access::AccessSettings;
pub use comfyui::ComfyUiSettings;
pub use downloads::DownloadSettings;
pub use listen::ListenSettings;
pub use refusal::Refusal;
pub use storage::StorageSettings;

use crate::cli::Command;
use crate::descriptors::{self, ConnectionLimits};
use crate::extract::BodyPace;
use crate::large_bodies::LargeBodyLimits;
use crate::logging::LogSettings;
use crate::middleware::authenticate::Rules;
use crate::origin::AllowedOrigins;
use crate::peer_owner::PeerOwners;
use crate::ws::SocketPace;

const ABOUT: &str =
    "The control plane for ComfyUI machines: gets model files into the right folders, whole and verified.";
const EXAMPLES: &str = "\
Examples:
  comfyui-dashboard                                 serve the page and the API at http://127.0.0.1:8082
  comfyui-dashboard presets list --type video       what can be installed
  comfyui-dashboard install WAN_22_5B_TIV2          fetch a preset's files, with progress bars
  comfyui-dashboard get URL --type loras            fetch one file into models/loras
  comfyui-dashboard doctor                          what is set, and whether it can work

Every setting below is also an environment variable, and a flag wins. `install` and `get` use the running server if there is
one, else they do the work themselves. Interrupted downloads go on where they were.";

/// A call of the program: what to do, and how everything is set.
#[derive(Debug, Parser)]
#[command(name = "comfyui-dashboard", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 120)]
pub struct Invocation {
    /// What to do; without it, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How everything is set.
    #[command(flatten)]
    pub settings: Settings,
}

/// Every setting, by what it is about.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where the server listens.
    #[command(flatten)]
    pub listen: ListenSettings,
    /// Where files and the database are.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// Where models come from and how they are fetched.
    #[command(flatten)]
    pub downloads: DownloadSettings,
    /// Where ComfyUI is.
    #[command(flatten)]
    pub comfyui: ComfyUiSettings,
    /// Who may do what.
    #[command(flatten)]
    pub access: AccessSettings,
    /// What is logged.
    #[command(flatten)]
    pub log: LogSettings,
}

/// Everything that the server is built from.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to listen at.
    pub listen: Vec<SocketAddr>,
    /// An address that is not available is skipped as long as another one is: nobody named it.
    pub listen_is_default: bool,
    /// Who may do what.
    pub rules: Rules,
    /// Where others can reach the server and nobody has credentials, a password is made.
    pub generate_password: bool,
    /// How the service works.
    pub service: service::Settings,
    /// How many connections there may be.
    pub connections: ConnectionLimits,
    /// Where the owner of a local connection is looked up.
    pub peer_owners: PeerOwners,
    /// Most sockets and followed logs of one client.
    pub sockets_per_client: usize,
    /// How slow a body may come.
    pub body_pace: BodyPace,
    /// How many bytes of large bodies are held at once.
    pub large_bodies: LargeBodyLimits,
    /// How a socket is kept alive.
    pub socket_pace: SocketPace,
}

impl Invocation {
    /// The call as the process was started.
    pub fn of_process() -> Result<Self, Refusal> {
        Self::of(std::env::args_os())
    }

    /// The call with these arguments and the process's environment. An empty variable counts as unset.
    pub fn of(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        let mut command = Self::command().mut_args(without_empty_variable);
        let names = refusal::variables(&command);
        let matches = command.try_get_matches_from_mut(arguments).map_err(|error| Refusal::of(&error, &names))?;
        Self::from_arg_matches(&matches).map_err(|error| Refusal::of(&error, &names))
    }
}

fn without_empty_variable(argument: clap::Arg) -> clap::Arg {
    match argument.get_env().map(std::env::var_os) {
        Some(Some(value)) if value.is_empty() => argument.env(None::<&str>),
        _ => argument,
    }
}

impl Settings {
    /// What the server is built from, or what in the settings does not go together.
    pub fn config(&self) -> Result<Config, Refusal> {
        let listen = self.listen.addresses();
        let origins = match &self.access.cors_origins {
            Some(list) => AllowedOrigins::Listed(list.0.clone()),
            None => AllowedOrigins::Unlisted,
        };
        Ok(Config {
            listen,
            listen_is_default: self.listen.is_default(),
            rules: Rules {
                allow_unauthenticated: self.access.allow_unauthenticated,
                origins,
                trusted_proxies: self.access.trusted_proxies.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
            },
            generate_password: self.access.generate_password,
            service: service_settings::of(self),
            connections: ConnectionLimits::of(descriptors::limit(), self.access.max_connections_per_address),
            peer_owners: PeerOwners::default(),
            sockets_per_client: self.access.max_sockets_per_client,
            body_pace: BodyPace::default(),
            large_bodies: LargeBodyLimits::default(),
            socket_pace: SocketPace::default(),
        })
    }
}
