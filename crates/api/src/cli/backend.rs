//! Who does the work of a shell command: the running server if there is one, else the service in this process. Both are the
//! same facade methods, and both answer in the JSON of the interface.

use reqwest::Method;
use service::{Dashboard, Supervisor, SystemClock};

use super::{CliError, remote::Remote};
use crate::config::Settings;
use crate::dto::{
    download_requests::{DownloadAdded, DownloadPreview, DownloadRequest},
    downloads::DownloadDetail,
    installs::{InstallRequest, InstallStarted},
    presets::{PresetList, PresetListQuery},
    workflow_install::{InstallWorkflowQuery, InstallWorkflowRequest, WorkflowInstall},
};
use crate::extract::parse_list_query;
use crate::operations::Role;
use crate::routes::presets::known_form;

/// Who does the work.
pub(super) enum Backend {
    /// The running server.
    Server(Remote),
    /// This process.
    Here(Box<(Dashboard, Supervisor)>),
}

impl Backend {
    /// The running server if it answers, else the service, started here.
    pub(super) async fn open(settings: &Settings) -> Result<Self, CliError> {
        if let Some(remote) = Remote::find(&settings.listen.addresses()).await {
            return Ok(Self::Server(remote.with_shell_token(&settings.config()?.service.database.0)));
        }
        crate::tls::install_provider();
        let started = Dashboard::start(settings.config()?.service, SystemClock).await?;
        Ok(Self::Here(Box::new(started)))
    }

    /// What happens to a download when this process ends before it.
    pub(super) fn on_interrupt(&self) -> &'static str {
        match self {
            Self::Server(_) => "the server goes on with it",
            Self::Here(_) => "the same command goes on where it was",
        }
    }

    /// A part of the list of presets.
    pub(super) async fn list_presets(&self, query: &str) -> Result<PresetList, CliError> {
        match self {
            Self::Server(remote) => remote.ask(Method::GET, &format!("/api/presets?{query}"), None::<&()>).await,
            Self::Here(here) => {
                let query = parse_list_query::<PresetListQuery>(query)?;
                Ok(here.0.presets.list(&query.into()).await?.into())
            }
        }
    }

    /// Begins an install.
    pub(super) async fn install_preset(&self, id: &str, request: &InstallRequest) -> Result<InstallStarted, CliError> {
        let preset = known_form(id)?;
        match self {
            Self::Server(remote) => {
                remote.ask(Method::POST, &format!("/api/presets/{preset}/install"), Some(request)).await
            }
            Self::Here(here) => Ok(here.0.presets.install(&preset, request.clone().options(Role::Admin)).await?.into()),
        }
    }

    /// Begins a download.
    pub(super) async fn add_download(&self, request: &DownloadRequest) -> Result<DownloadAdded, CliError> {
        match self {
            Self::Server(remote) => remote.ask(Method::POST, "/api/downloads", Some(request)).await,
            Self::Here(here) => Ok(here.0.downloads.add(request.clone().new_download(Role::Admin)?).await?),
        }
    }

    /// What a download would fetch.
    pub(super) async fn preview_download(&self, request: &DownloadRequest) -> Result<DownloadPreview, CliError> {
        match self {
            Self::Server(remote) => remote.ask(Method::POST, "/api/downloads?dry_run=true", Some(request)).await,
            Self::Here(here) => {
                let (urls, place) = request.clone().sources_and_place(Role::Admin)?;
                Ok(here.0.downloads.preview(&urls, place.as_ref()).await?.into())
            }
        }
    }

    /// Fetches what a workflow lacks.
    pub(super) async fn install_workflow(&self, request: &InstallWorkflowRequest) -> Result<WorkflowInstall, CliError> {
        match self {
            Self::Server(remote) => remote.ask(Method::POST, "/api/workflows/install", Some(request)).await,
            Self::Here(here) => {
                let (given, options) = request.clone().split(&InstallWorkflowQuery::default());
                Ok(here.0.workflows.install(given, options).await?.into())
            }
        }
    }

    /// How a download stands.
    pub(super) async fn get_download(&self, id: &str) -> Result<DownloadDetail, CliError> {
        match self {
            Self::Server(remote) => remote.ask(Method::GET, &format!("/api/downloads/{id}"), None::<&()>).await,
            Self::Here(here) => {
                let view = here.0.downloads.get(id).await?;
                Ok(DownloadDetail::new(&view, here.0.downloads.events(id).await?))
            }
        }
    }

    /// Ends what was started here: transfers are parked, and go on at the next call.
    pub(super) async fn close(self) {
        if let Self::Here(here) = self {
            here.1.shutdown().await;
        }
    }
}
