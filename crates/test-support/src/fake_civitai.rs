//! A stand-in for civitai.com: model versions with their documents, downloads that redirect to signed addresses on another
//! host, names that come in `Content-Disposition` only, and its two ways of asking for a token.

use crate::fake_hub::Links;
use crate::file_server::{Always, Content, FileServer, Reply, Request, Route};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The site and the host of its files. Runs until it and the last of its routes are dropped.
#[derive(Clone)]
pub struct FakeCivitai {
    site: FileServer,
    storage: FileServer,
    links: Arc<Links>,
    tokens: Arc<Mutex<HashSet<String>>>,
}

/// One version of one model, with one file.
#[derive(Clone, Debug)]
pub struct ModelVersion {
    /// Number of the model.
    pub model_id: u64,
    /// Number of the version, unique over all models.
    pub version_id: u64,
    /// `Checkpoint`, `LORA`, `VAE`, ...
    pub kind: &'static str,
    /// Name of the file, as sent in `Content-Disposition`: hostile if the test wants it so.
    pub file_name: String,
    /// What a request without a good token meets.
    pub without_token: WithoutToken,
}

/// How the site treats a download without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutToken {
    /// The file is free.
    Served,
    /// 401 with a JSON document.
    Unauthorized,
    /// A redirect to a page with status 200: what others saved as a model.
    LoginPage,
}

/// A published file: its download address and where its bytes are.
#[derive(Clone)]
pub struct CivitaiFile {
    /// `/api/download/models/{version}`.
    pub download: Route,
    /// Where the redirect leads; refuses `HEAD`.
    pub storage: Route,
}

impl FakeCivitai {
    /// Starts both servers on free ports of 127.0.0.1.
    #[must_use]
    pub fn start() -> FakeCivitai {
        let site = FileServer::start();
        site.handle("/login", |_| Reply::login_page());
        FakeCivitai { site, storage: FileServer::start(), links: Arc::default(), tokens: Arc::default() }
    }

    /// `http://127.0.0.1:port` of the site.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.site.url("")
    }

    /// The site: its requests may carry a token.
    #[must_use]
    pub fn site(&self) -> &FileServer {
        &self.site
    }

    /// The host of the files: no request here may ever carry a token.
    #[must_use]
    pub fn storage(&self) -> &FileServer {
        &self.storage
    }

    /// Every signed address works for so many requests.
    pub fn links_last(&self, requests: usize) {
        self.links.last(requests);
    }

    /// This token is good, as `Authorization: Bearer` or as `?token=`.
    pub fn know_token(&self, token: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
    }

    /// Publishes a version: its documents (by model, by version, by hash) and its download.
    pub fn publish(&self, version: &ModelVersion, content: &Content) -> CivitaiFile {
        let links = Arc::clone(&self.links);
        let storage = self
            .storage
            .guarded_file(&format!("/storage/{}", version.version_id), content.clone(), move |request| {
                links.refusal(request)
            })
            .disposition(&format!("attachment; filename=\"{}\"", version.file_name), Always)
            .refuse_head(403);
        let document = self.version_document(version, content);
        let model = json!({
            "id": version.model_id, "name": format!("Model {}", version.model_id), "type": version.kind,
            "nsfw": false, "tags": [], "modelVersions": [document.clone()],
        });
        let serve = |path: String, document: Value| self.site.handle(&path, move |_| Reply::json(200, &document));
        serve(format!("/api/v1/models/{}", version.model_id), model);
        serve(format!("/api/v1/model-versions/{}", version.version_id), document.clone());
        let sha256 = content.sha256();
        serve(format!("/api/v1/model-versions/by-hash/{}", sha256.to_uppercase()), document.clone());
        serve(format!("/api/v1/model-versions/by-hash/{sha256}"), document);
        CivitaiFile { download: self.add_download(version, storage.url()), storage }
    }

    fn add_download(&self, version: &ModelVersion, stored_at: String) -> Route {
        let (links, tokens) = (Arc::clone(&self.links), Arc::clone(&self.tokens));
        let (version_id, without_token) = (version.version_id, version.without_token);
        self.site.handle(&format!("/api/download/models/{version_id}"), move |request| {
            let known = |token: &str| tokens.lock().unwrap_or_else(PoisonError::into_inner).contains(token);
            if without_token == WithoutToken::Served || token(request).is_some_and(known) {
                return Reply::status(307).header("Location", links.sign(&stored_at));
            }
            match without_token {
                WithoutToken::LoginPage => Reply::redirect("/login?reason=download-auth"),
                _ => {
                    let message = "The creator of this asset requires you to be logged in to download it";
                    Reply::json(401, &json!({ "error": "Unauthorized", "message": message }))
                }
            }
        })
    }

    fn version_document(&self, version: &ModelVersion, content: &Content) -> Value {
        let download = self.site.url(&format!("/api/download/models/{}", version.version_id));
        json!({
            "id": version.version_id, "modelId": version.model_id, "name": "v1.0", "baseModel": "SDXL 1.0",
            "model": { "name": format!("Model {}", version.model_id), "type": version.kind, "nsfw": false },
            "files": [{
                "id": version.version_id, "name": version.file_name, "type": "Model", "primary": true,
                "sizeKB": content.size() as f64 / 1024.0, "metadata": { "format": "SafeTensor", "fp": "fp16" },
                "hashes": { "SHA256": content.sha256().to_uppercase() }, "downloadUrl": download,
            }],
            "downloadUrl": download,
        })
    }
}

fn token(request: &Request) -> Option<&str> {
    request.bearer().or_else(|| request.query("token"))
}
