//! Why a shell command could not do its work.

use std::process::ExitCode;

use crate::application::ApplicationError;
use crate::config::Refusal;
use crate::error::ApiError;

/// Why a shell command could not do its work; the message is what the person at the shell reads.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings do not go together.
    #[error(transparent)]
    Settings(#[from] Refusal),
    /// The server could not start or had to stop.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// The service refused, here or in the running server.
    #[error("{message} ({code})")]
    Refused {
        /// The code of the error envelope.
        code: String,
        /// Its message.
        message: String,
    },
    /// The running server did not answer as it should.
    #[error("the server at {address} did not answer: {cause}")]
    Unreachable {
        /// Where it was asked.
        address: String,
        /// Why.
        cause: reqwest::Error,
    },
    /// Something did not arrive.
    #[error("{0}")]
    Failed(String),
    /// The standard output takes nothing.
    #[error("cannot write to the standard output: {0}")]
    Output(std::io::Error),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; {0}")]
    Interrupted(&'static str),
}

impl CliError {
    /// The code that the shell gets.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Settings(_) | Self::Application(ApplicationError::OpenToAll(_)) => 2,
            Self::Interrupted(_) => 130,
            _ => 1,
        })
    }
}

/// In this process there is no log to look the cause up in: the person reads it.
impl From<service::Error> for CliError {
    fn from(error: service::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            message = format!("{message}: {deeper}");
            cause = deeper.source();
        }
        let code = ApiError::from(error).code.as_str().to_owned();
        Self::Refused { code, message }
    }
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        Self::Refused { code: error.code.as_str().to_owned(), message: error.message }
    }
}
