//! Which repositories exist, who may read them, and what the hub says to everyone else.

use super::parse_address;
use crate::file_server::{Reply, Request};
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(super) struct Access {
    repositories: HashMap<String, Visibility>,
    tokens: HashSet<String>,
    grants: HashSet<(String, String)>,
    renamed: HashMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visibility {
    Public,
    Gated,
    Private,
}

impl Access {
    pub(super) fn add_repository(&mut self, repo: &str) {
        self.repositories.entry(repo.to_owned()).or_insert(Visibility::Public);
    }

    pub(super) fn gate(&mut self, repo: &str) {
        self.repositories.insert(repo.to_owned(), Visibility::Gated);
    }

    pub(super) fn hide(&mut self, repo: &str) {
        self.repositories.insert(repo.to_owned(), Visibility::Private);
    }

    pub(super) fn know_token(&mut self, token: &str) {
        self.tokens.insert(token.to_owned());
    }

    pub(super) fn grant(&mut self, token: &str, repo: &str) {
        self.know_token(token);
        self.grants.insert((token.to_owned(), repo.to_owned()));
    }

    pub(super) fn rename(&mut self, old: &str, new: &str) {
        self.renamed.insert(old.to_owned(), new.to_owned());
    }

    /// What a request to a file of `repo` is told if it may not have it.
    pub(super) fn refusal(&self, repo: &str, request: &Request) -> Option<Reply> {
        let token = request.bearer();
        if token.is_some_and(|token| !self.tokens.contains(token)) {
            return Some(error(401, None, "Invalid credentials in Authorization header"));
        }
        let granted = token.is_some_and(|token| self.grants.contains(&(token.to_owned(), repo.to_owned())));
        match self.repositories.get(repo) {
            Some(Visibility::Public) => None,
            Some(Visibility::Gated | Visibility::Private) if granted => None,
            Some(Visibility::Gated) if token.is_none() => {
                let message = format!(
                    "Access to model {repo} is restricted. You must have access to it and be authenticated to access it. \
                     Please log in."
                );
                Some(error(401, Some("GatedRepo"), &message))
            }
            Some(Visibility::Gated) => {
                let message = format!(
                    "Access to model {repo} is restricted and you are not in the authorized list. \
                     Visit https://huggingface.co/{repo} to ask for access."
                );
                Some(error(403, Some("GatedRepo"), &message))
            }
            Some(Visibility::Private) | None if token.is_none() => {
                Some(error(401, Some("RepoNotFound"), "Invalid username or password."))
            }
            Some(Visibility::Private) | None => Some(error(404, Some("RepoNotFound"), "Repository not found")),
        }
    }

    /// The answer to an address that names no file.
    pub(super) fn without_file(&self, request: &Request) -> Reply {
        let Some((repo, _path)) = parse_address(&request.target) else {
            return Reply::page(404, "<!DOCTYPE html>\n<html><body>404</body></html>\n");
        };
        if let Some(new) = self.renamed.get(repo) {
            return Reply::status(307).header("Location", request.target.replacen(repo, new, 1));
        }
        if let Some(refusal) = self.refusal(repo, request) {
            return refusal;
        }
        if request.target.contains("/blob/") {
            return Reply::page(
                200,
                "<!DOCTYPE html>\n<html><body>A page about the file, not the file.</body></html>\n",
            );
        }
        error(404, Some("EntryNotFound"), "Entry not found")
    }
}

fn error(status: u16, code: Option<&str>, message: &str) -> Reply {
    let reply = Reply::text(status, message).header("X-Error-Message", message);
    match code {
        Some(code) => reply.header("X-Error-Code", code),
        None => reply,
    }
}
