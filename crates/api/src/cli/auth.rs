//! `auth`: keys and the password, in the database itself. It works beside a running server, which sees the change at the
//! next request, and is the way back in for whoever may log in to the machine.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use service::{
    Clock, SystemClock,
    access::{Access, KeyView, NewKey, PasswordSet, Role},
};

use super::{CliError, print};
use crate::config::{Settings, values::positive_span};

/// What can be done about keys and the password.
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Make a key and print it, this once
    GenerateKey {
        /// What to call it; without it, the date
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// How far it reaches
        #[arg(long, value_enum, default_value = "operate")]
        role: KeyRole,
        /// When it stops to work, from now: 30d, 12h; without it, never
        #[arg(long, value_name = "SPAN", value_parser = positive_span)]
        expires_in: Option<Duration>,
    },
    /// List the keys
    ListKeys,
    /// End a key
    RevokeKey {
        /// Its id, as `list-keys` shows it
        id: String,
    },
    /// Set the password, typed or from the first line of the standard input; every browser is logged out
    SetPassword,
}

/// How far a key reaches.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KeyRole {
    /// To look
    Read,
    /// To install, pause, resume, cancel and execute as well
    Operate,
    /// To delete, and to say who may do what as well
    Admin,
}

/// Does what was asked, in the database.
pub(super) async fn run(settings: &Settings, command: AuthCommand) -> Result<ExitCode, CliError> {
    let database = settings.config()?.service.database.0;
    let access = Access::open(&database, SystemClock).await?;
    let done = obey(&access, command).await;
    access.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(access: &Access, command: AuthCommand) -> Result<(), CliError> {
    match command {
        AuthCommand::GenerateKey { name, role, expires_in } => {
            let now = SystemClock.now();
            let expires_at = expires_in.map(|span| now.checked_add(span)).transpose();
            let expires_at =
                expires_at.map_err(|_| CliError::Failed("--expires-in: that is too far away".to_owned()))?;
            let name = name.unwrap_or_else(|| now.strftime("%Y-%m-%d").to_string());
            let (secret, made) = access.generate_key(NewKey { name, role: role.into(), expires_at }).await?;
            if let Err(unseen) = print::line(secret.reveal()) {
                // Nobody has seen it and nobody can see it again.
                access.revoke_key(&made.id).await?;
                return Err(unseen);
            }
        }
        AuthCommand::ListKeys => access.list_keys().await?.iter().try_for_each(print_key)?,
        AuthCommand::RevokeKey { id } => {
            access.revoke_key(&id).await?;
            print::line(format_args!("revoked {id}"))?;
        }
        AuthCommand::SetPassword => {
            let password = tokio::task::spawn_blocking(read_password).await.map_err(io::Error::other);
            let password =
                password.flatten().map_err(|cause| CliError::Failed(format!("no password came: {cause}")))?;
            match access.set_password(&password).await? {
                PasswordSet::InForce => print::line("the password is set; every browser is logged out")?,
                PasswordSet::BehindSetting => {
                    print::line(
                        "the password is kept, but ACCESS_PASSWORD is in force for as long as the server has it",
                    )?;
                }
            }
        }
    }
    Ok(())
}

fn print_key(key: &KeyView) -> Result<(), CliError> {
    let day =
        |time: Option<jiff::Timestamp>, otherwise: &str| time.map_or(otherwise.to_owned(), |time| time.to_string());
    print::line(format_args!(
        "{}  {:8} {}…  expires {}  last used {}  {}",
        key.id,
        key.role.as_str(),
        key.hint,
        day(key.expires_at, "never"),
        day(key.last_used_at, "never"),
        key.name,
    ))
}

/// The first line of the standard input; on a terminal, without showing what is typed.
fn read_password() -> io::Result<String> {
    let _hidden = if io::stdin().is_terminal() {
        write!(io::stderr(), "New password: ")?;
        io::stderr().flush()?;
        Some(HiddenTyping::start()?)
    } else {
        None
    };
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct HiddenTyping(Termios);

impl HiddenTyping {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for HiddenTyping {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        let _ = writeln!(io::stderr());
    }
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Self {
        match role {
            KeyRole::Read => Self::Read,
            KeyRole::Operate => Self::Operate,
            KeyRole::Admin => Self::Admin,
        }
    }
}
