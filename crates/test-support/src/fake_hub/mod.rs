//! A stand-in for huggingface.co: a hub that knows repositories and tokens, and a CDN on another port that holds the bytes.
//!
//! What it answers follows the real hub: a large file is a 302 to a signed address, with `X-Linked-Etag` (its SHA-256),
//! `X-Linked-Size` and `X-Repo-Commit` on that first answer alone; a small file comes directly, with a 40-digit git hash as its
//! tag; closed repositories say why in `X-Error-Code` and `X-Error-Message`. Both servers are [`FileServer`]s: every fault of a
//! [`Route`] can be ordered on either hop, and both record what they were sent.

mod access;
mod links;

use crate::file_server::{Always, Content, FileServer, Reply, Route, Validator};
use access::Access;
pub(crate) use links::Links;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The hub and its CDN. Runs until it and the last of its routes are dropped.
#[derive(Clone)]
pub struct FakeHub {
    hub: FileServer,
    cdn: FileServer,
    state: Arc<State>,
}

/// A large file: two hops, each of which can misbehave on its own.
#[derive(Clone)]
pub struct HubFile {
    /// The address that users know; answers with a redirect.
    pub resolve: Route,
    /// Where the bytes are.
    pub cdn: Route,
}

#[derive(Default)]
struct State {
    access: Mutex<Access>,
    links: Links,
}

impl State {
    fn access(&self) -> MutexGuard<'_, Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeHub {
    /// Starts both servers on free ports of 127.0.0.1.
    #[must_use]
    pub fn start() -> FakeHub {
        FakeHub::start_on(0)
    }

    /// Starts the hub on this port, the CDN on a free one.
    #[must_use]
    pub fn start_on(port: u16) -> FakeHub {
        let (hub, cdn) = (FileServer::start_on(port), FileServer::start());
        let state = Arc::<State>::default();
        let for_fallback = Arc::clone(&state);
        hub.fallback(move |request| for_fallback.access().without_file(request));
        FakeHub { hub, cdn, state }
    }

    /// A hub that serves these addresses: each the path of a `resolve` or `blob` address and a size in bytes. Weight files are
    /// large files, all others small ones; the same path twice is one file.
    #[must_use]
    pub fn serving(files: &[(&str, u64)]) -> FakeHub {
        let hub = FakeHub::start();
        hub.serve(files);
        hub
    }

    /// Adds the files of [`FakeHub::serving`]. Panics at a path of another form.
    pub fn serve(&self, files: &[(&str, u64)]) {
        let mut seen = HashSet::new();
        for (address, size) in files {
            let (repo, path) =
                parse_address(address).unwrap_or_else(|| panic!("{address} is not /org/name/resolve/rev/path"));
            if !seen.insert((repo, path)) {
                continue;
            }
            let content = Content::pattern(seed(&format!("{repo}/{path}")), *size);
            if is_large(path) {
                self.large_file(repo, path, content);
            } else {
                self.small_file(repo, path, content);
            }
        }
    }

    /// A file kept in large-file storage, under any revision. `repo` is `org/name`.
    pub fn large_file(&self, repo: &str, path: &str, content: Content) -> HubFile {
        self.state.access().add_repository(repo);
        let cdn = self.add_to_cdn(repo, path, content.clone());
        let state = Arc::clone(&self.state);
        let (repository, stored_at) = (repo.to_owned(), cdn.url());
        let resolve = self.hub.guarded_file(&address(repo, path), content.clone(), move |request| {
            let refusal = state.access().refusal(&repository, request);
            Some(refusal.unwrap_or_else(|| {
                Reply::redirect(state.links.sign(&stored_at))
                    .header("X-Repo-Commit", commit(&repository))
                    .header("X-Linked-Size", content.size().to_string())
                    .header("X-Linked-Etag", format!("\"{}\"", content.sha256()))
            }))
        });
        HubFile { resolve, cdn }
    }

    /// A file kept in git itself, under any revision: answered by the hub, its tag 40 hex digits that are no SHA-256.
    pub fn small_file(&self, repo: &str, path: &str, content: Content) -> Route {
        self.state.access().add_repository(repo);
        let state = Arc::clone(&self.state);
        let repository = repo.to_owned();
        let tag = format!("\"{}\"", &content.sha256()[..40]);
        self.hub
            .guarded_file(&address(repo, path), content, move |request| state.access().refusal(&repository, request))
            .validator(Validator::Tag(tag), Always)
            .header("X-Repo-Commit", &commit(repo), Always)
    }

    fn add_to_cdn(&self, repo: &str, path: &str, content: Content) -> Route {
        let state = Arc::clone(&self.state);
        self.cdn
            .guarded_file(&format!("/repos/{repo}/{path}"), content, move |request| state.links.refusal(request))
            .disposition(&format!("attachment; filename=\"{}\"", file_name(path)), Always)
    }

    /// What `HF_ENDPOINT` is set to.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.hub.url("")
    }

    /// The first hop: its requests may carry a token.
    #[must_use]
    pub fn hub(&self) -> &FileServer {
        &self.hub
    }

    /// The second hop: no request here may ever carry a token.
    #[must_use]
    pub fn cdn(&self) -> &FileServer {
        &self.cdn
    }

    /// Whether any byte that the CDN received holds `text`.
    #[must_use]
    pub fn cdn_saw(&self, text: &str) -> bool {
        self.cdn.requests().iter().any(|request| request.mentions(text))
    }
}

/// Who may read what.
impl FakeHub {
    /// From now on the repository is open to tokens with a [`FakeHub::grant`] only, and everyone may know that it exists.
    pub fn gate(&self, repo: &str) {
        self.state.access().gate(repo);
    }

    /// From now on the repository does not exist, but for tokens with a [`FakeHub::grant`].
    pub fn hide(&self, repo: &str) {
        self.state.access().hide(repo);
    }

    /// A token that belongs to an account which has access to nothing closed.
    pub fn know_token(&self, token: &str) {
        self.state.access().know_token(token);
    }

    /// The account of `token` may read `repo`.
    pub fn grant(&self, token: &str, repo: &str) {
        self.state.access().grant(token, repo);
    }

    /// The repository moved: the old name answers 307 with a relative address.
    pub fn rename(&self, old: &str, new: &str) {
        self.state.access().rename(old, new);
    }
}

/// How long signed addresses last.
impl FakeHub {
    /// Every signed address works for so many requests.
    pub fn links_last(&self, requests: usize) {
        self.state.links.last(requests);
    }

    /// All signed addresses given out so far are dead; the hub signs new ones.
    pub fn expire_links(&self) {
        self.state.links.expire_all();
    }

    /// What the CDN says to a dead address: 403 at first; 400 and 401 are seen too.
    pub fn dead_links_answer(&self, status: u16) {
        self.state.links.answer_with(status);
    }
}

/// Splits `/org/name/resolve/revision/path` (or `blob`, with or without a query) into `org/name` and `path`.
fn parse_address(address: &str) -> Option<(&str, &str)> {
    let address = address.split('?').next()?.strip_prefix('/')?;
    let (repo, rest) = address.split_once("/resolve/").or_else(|| address.split_once("/blob/"))?;
    let (_revision, path) = rest.split_once('/')?;
    (repo.split('/').count() == 2).then_some((repo, path))
}

fn address(repo: &str, path: &str) -> String {
    format!("/{repo}/resolve/*/{path}")
}

fn is_large(path: &str) -> bool {
    const WEIGHTS: [&str; 9] = ["safetensors", "ckpt", "pt", "pth", "bin", "gguf", "onnx", "sft", "model"];
    path.rsplit_once('.').is_some_and(|(_, extension)| WEIGHTS.contains(&extension))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The commit that every revision of a repository stands for, 40 hex digits.
fn commit(repo: &str) -> String {
    hex::encode(Sha256::digest(repo))[..40].to_owned()
}

fn seed(name: &str) -> u64 {
    let digest = Sha256::digest(name);
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
