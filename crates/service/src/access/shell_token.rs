//! The token by which our own shell proves to a running server that it acts for the owner of this machine: who can read
//! the file may do everything. It is new at each start and gone after an orderly stop.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::{Access, private_file, secret};
use crate::{Error, access::store::SecretHash, own_file, tasks::blocking};

/// The file, beside the database.
const FILE_NAME: &str = "cli.token";

/// How the token begins.
const PREFIX: &str = "cdk_shell_";

/// The token of a running server.
#[derive(Debug)]
pub(super) struct ShellToken {
    path: PathBuf,
    hash: SecretHash,
}

impl ShellToken {
    /// Makes the token of this start; one that a crash left behind is replaced.
    pub(super) fn create(database: &Path) -> Result<Self, Error> {
        let path = path_beside(database);
        let drawn = secret::draw(PREFIX)?;
        private_file::replace(&path, drawn.text.reveal().as_bytes()).map_err(Error::internal)?;
        Ok(Self { path, hash: drawn.hash })
    }

    /// Takes the file away, unless another server has put its own in its place.
    fn remove(&self) {
        let is_ours = own_file::read_text(&self.path).is_ok_and(|text| secret::hash_of(&text) == self.hash);
        if is_ours && let Err(cause) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %cause, "the token of the shell could not be removed");
        }
    }
}

/// The token of the server that runs on this database; `None` where none runs.
pub fn read_shell_token(database: &Path) -> io::Result<Option<String>> {
    match own_file::read_text(&path_beside(database)) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

fn path_beside(database: &Path) -> PathBuf {
    database.with_file_name(FILE_NAME)
}

impl Access {
    /// Takes the token away when the server stops.
    pub(crate) async fn remove_shell_token_after(self, stop: CancellationToken) -> Result<(), Error> {
        stop.cancelled().await;
        blocking(move || self.shell.iter().for_each(|shell| shell.remove())).await
    }

    pub(super) fn is_shell_token(&self, text: &str) -> bool {
        self.shell.as_ref().is_some_and(|shell| secret::is_same(&secret::hash_of(text), &shell.hash))
    }
}
