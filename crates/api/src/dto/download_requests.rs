//! What can be asked about downloads: which to list, what to fetch, what to change. And the short answers.

pub use api_types::downloads::{DownloadAdded, FoundIn};
use serde::{Deserialize, Deserializer, Serialize};
use service::downloads as view;
use service::page::Order;
use utoipa::{IntoParams, ToSchema};

use super::Priority;
use super::downloads::DownloadState;
use super::page::{ListQuery, SortOrder, order_or};
use crate::error::ApiError;
use crate::operations::Role;

/// Which downloads are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadListQuery {
    /// Only those that stand there.
    #[param(inline)]
    status: Option<DownloadState>,
    /// What to sort by; without it, in the order in which they run, then the ended ones.
    #[param(inline)]
    sort: Option<DownloadSort>,
    /// Which way to sort.
    #[param(inline)]
    order: Option<SortOrder>,
}

/// What a list of downloads can be sorted by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownloadSort {
    /// In the order in which they run.
    Queue,
    /// By when they were asked for.
    Created,
    /// By how urgent they are.
    Priority,
    /// By how far they are.
    Progress,
}

impl From<ListQuery<DownloadListQuery>> for view::DownloadQuery {
    fn from(ListQuery(query, page): ListQuery<DownloadListQuery>) -> Self {
        Self {
            state: query.status,
            sort: match query.sort {
                None | Some(DownloadSort::Queue) => view::DownloadSort::Queue,
                Some(DownloadSort::Created) => view::DownloadSort::Created,
                Some(DownloadSort::Priority) => view::DownloadSort::Priority,
                Some(DownloadSort::Progress) => view::DownloadSort::Progress,
            },
            order: order_or(query.order, Order::Ascending),
            page,
        }
    }
}

/// Which ended downloads are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryListQuery {
    /// Only those that ended so.
    #[param(inline)]
    status: Option<DownloadState>,
    /// Only those of this preset. One that does not exist gives an empty list.
    preset: Option<String>,
    /// Sorted by when they ended; without it, the latest first.
    #[param(inline)]
    order: Option<SortOrder>,
}

impl TryFrom<ListQuery<HistoryListQuery>> for view::HistoryQuery {
    type Error = ApiError;

    fn try_from(ListQuery(query, page): ListQuery<HistoryListQuery>) -> Result<Self, ApiError> {
        let preset = query.preset.map(|text| service::PresetId::parse(&text)).transpose();
        Ok(Self {
            state: query.status,
            preset: preset.map_err(|refused| ApiError::invalid("preset", refused))?,
            order: order_or(query.order, Order::Descending),
            page,
        })
    }
}

/// A file to fetch: `url` or `urls`, and either `path` or `type`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DownloadRequest {
    /// Where it comes from: a file, a page of Hugging Face or Civitai, `hf://…` or `urn:air:…`.
    #[schema(example = "https://huggingface.co/org/repo/resolve/main/detail.safetensors")]
    pub url: Option<String>,
    /// Several sources of the same file.
    pub urls: Vec<String>,
    /// Where it goes, below the models folder.
    #[schema(example = "loras/detail.safetensors")]
    pub path: Option<String>,
    /// The folder that it goes to, where no `path` is given.
    #[schema(example = "loras")]
    pub r#type: Option<String>,
    /// Its name in that folder; without it, the server's own, else the last part of the URL.
    pub filename: Option<String>,
    /// What its SHA-256 must be, as 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// What its size must be.
    pub size_bytes: Option<u64>,
    /// How urgent it is.
    pub priority: Priority,
    /// Replace a file that is there.
    pub overwrite: bool,
}

impl DownloadRequest {
    /// The sources, and the place where one is given: all that a preview needs.
    pub fn sources_and_place(self, role: Role) -> Result<(Vec<String>, Option<view::Place>), ApiError> {
        if self.path.is_none() && self.r#type.is_none() && self.filename.is_none() {
            return Ok((self.url.into_iter().chain(self.urls).collect(), None));
        }
        let new = self.new_download(role)?;
        Ok((new.urls, Some(new.place)))
    }

    /// What is asked for, by somebody of this role.
    pub fn new_download(self, role: Role) -> Result<view::NewDownload, ApiError> {
        let request = self;
        let urls: Vec<String> = request.url.into_iter().chain(request.urls).collect();
        if urls.is_empty() {
            return Err(ApiError::invalid("url", "one source is needed, as \"url\" or in \"urls\""));
        }
        let place = match (request.path, request.r#type, request.filename) {
            (Some(path), None, None) => view::Place::Path(path),
            (None, Some(kind), filename) => view::Place::Folder { kind, filename },
            _ => {
                let takes = "either \"path\" is needed, or \"type\" and, if you like, \"filename\"";
                return Err(ApiError::invalid("path", takes));
            }
        };
        Ok(view::NewDownload {
            urls,
            place,
            sha256: request.sha256,
            size_bytes: request.size_bytes,
            priority: request.priority,
            overwrite: request.overwrite,
            may_replace: role.may_replace(),
        })
    }
}

/// How a file is asked for.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct AddQuery {
    /// Only say what would be fetched and where it would go. Neither `path` nor `type` is needed then.
    #[param(value_type = Option<bool>, example = false)]
    pub dry_run: bool,
}

/// What a link would fetch. Nothing was written; what is not known is `null`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DownloadPreview {
    /// The name of the file.
    pub name: Option<String>,
    /// Who names it.
    pub name_from: Option<FoundIn>,
    /// Its exact size.
    pub size_bytes: Option<u64>,
    /// Its SHA-256, where the server says it.
    pub sha256: Option<String>,
    /// The folder below the models folder.
    pub folder: Option<String>,
    /// How the folder was found.
    pub folder_from: Option<FoundIn>,
    /// Where the file would go, below the models folder.
    pub path: Option<String>,
    /// There is a file at that path.
    pub exists: Option<bool>,
    /// What has to be done before the host gives the file: a license to accept, a login, a token.
    pub gate: Option<String>,
    /// Why the host did not say more.
    pub problem: Option<String>,
}

impl From<view::DownloadPreview> for DownloadPreview {
    fn from(preview: view::DownloadPreview) -> Self {
        let path = match (&preview.folder, &preview.name) {
            (Some(folder), Some(name)) if folder.value.is_empty() => Some(name.value.clone()),
            (Some(folder), Some(name)) => Some(format!("{}/{}", folder.value, name.value)),
            _ => None,
        };
        let (name, folder) = (preview.name, preview.folder);
        Self {
            name_from: name.as_ref().map(|found| found.from),
            name: name.map(|found| found.value),
            size_bytes: preview.size_bytes,
            sha256: preview.sha256,
            folder_from: folder.as_ref().map(|found| found.from),
            folder: folder.map(|found| found.value),
            path,
            exists: preview.exists,
            gate: preview.gate,
            problem: preview.problem,
        }
    }
}

/// What to change about a download; keys that are absent change nothing.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct DownloadChange {
    /// How urgent it is. Without `position`, it goes behind the last of that priority.
    #[schema(nullable = false)]
    pub priority: Option<Priority>,
    /// Its place within the priority, lowest first.
    #[schema(nullable = false, minimum = 0, maximum = 2_147_483_648_u32)]
    pub position: Option<i64>,
    /// The download that it is put right before, into that one's priority. Not with `priority` or `position`.
    #[schema(nullable = false)]
    pub before: Option<String>,
    /// Most bytes a second that it may take; `null` or 0: as fast as it goes.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    pub rate_limit: Option<Option<u64>>,
}

/// Tells a key that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(input).map(Some)
}

impl TryFrom<DownloadChange> for view::DownloadChange {
    type Error = ApiError;

    fn try_from(change: DownloadChange) -> Result<Self, ApiError> {
        let place = match (change.before, change.position) {
            (None, None) => None,
            (Some(other), None) if change.priority.is_none() => Some(view::QueuePlace::Before(other)),
            (Some(_), _) => {
                return Err(ApiError::invalid("before", "give either \"before\", or \"priority\" and \"position\""));
            }
            (None, Some(number)) => {
                let position = view::Position::new(number).ok_or_else(|| {
                    let largest = view::Position::LARGEST;
                    ApiError::invalid("position", format!("{number} is not a whole number from 0 to {largest}"))
                })?;
                Some(view::QueuePlace::Position(position))
            }
        };
        Ok(Self {
            priority: change.priority,
            place,
            rate_limit: change.rate_limit.map(|limit| limit.filter(|bytes| *bytes > 0)),
        })
    }
}

/// Where a download stands after it was asked to pause or to go on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DownloadStanding {
    /// The state that was reached.
    pub status: DownloadState,
    /// Which download.
    pub download_id: String,
}

/// A download that was ended.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DownloadCancelled {
    /// The state that was reached.
    pub status: DownloadState,
    /// Which download.
    pub download_id: String,
    /// Unfinished parts were removed from the disk. Whole files stay.
    pub files_removed: bool,
}
