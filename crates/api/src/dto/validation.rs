//! What a validation found, and the job that it may run in, as JSON.

pub use api_types::jobs::JobState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{PresetId, jobs as view, models as models_view, page::Page};
use utoipa::{IntoParams, ToSchema};

use super::page::ListPart;
use super::units::percent;

/// Which models are validated, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ValidateQuery {
    /// Only this type.
    #[param(example = "loras")]
    r#type: Option<String>,
    /// Only the files of this preset, the missing ones included.
    pub preset: Option<String>,
    /// `true`: files are read again, though they have not changed since the last time.
    #[serde(default)]
    #[param(required = false)]
    force: bool,
    /// `true`: the answer is a job to watch. Proxies end requests that take long.
    #[serde(default)]
    #[param(required = false)]
    pub background: bool,
}

impl ValidateQuery {
    /// The options for the service; the preset has been looked at already.
    pub fn options(self, preset: Option<PresetId>) -> models_view::ValidateOptions {
        models_view::ValidateOptions { kind: self.r#type, preset, force: self.force }
    }
}

/// Bytes of a file that are not what they should be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DamagedBlock {
    /// The first of them.
    pub start: u64,
    /// The first after them.
    pub end: u64,
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Below the models folder.
    pub path: String,
    /// What it is, as a sentence.
    pub error: String,
    /// What it is: `missing`, `checksum_mismatch`, `damaged`, `unreadable`, `unsafe`, `unknown`,
    /// `wrong_format` or `odd_structure`.
    #[schema(example = "checksum_mismatch")]
    pub code: String,
    /// Where the damage is, if block checksums are kept of the file.
    pub damaged_blocks: Vec<DamagedBlock>,
}

impl From<&models_view::Finding> for Finding {
    fn from(found: &models_view::Finding) -> Self {
        Self {
            path: found.path.clone(),
            error: found.message.clone(),
            code: found.code.as_str().to_owned(),
            damaged_blocks: found.damaged.iter().map(|&(start, end)| DamagedBlock { start, end }).collect(),
        }
    }
}

/// What a validation found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// How many files were looked at.
    pub validated: u64,
    /// What makes files unfit for use.
    pub errors: Vec<Finding>,
    /// What is worth knowing.
    pub warnings: Vec<Finding>,
    /// Files that were not read because the caller lacks the role `operate`, and of which nothing is remembered.
    #[serde(default)]
    pub unchecked: Vec<String>,
}

impl From<&models_view::ValidationReport> for Validation {
    fn from(report: &models_view::ValidationReport) -> Self {
        Self {
            validated: report.validated,
            errors: report.errors.iter().map(Finding::from).collect(),
            warnings: report.warnings.iter().map(Finding::from).collect(),
            unchecked: report.unchecked.clone(),
        }
    }
}

/// Work that outlasts a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    #[schema(example = "job_123456")]
    pub id: String,
    /// What it does: `validate_models`.
    pub r#type: String,
    /// Where it stands.
    pub status: JobState,
    /// How much is done, 0 to 100.
    pub progress: f64,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// What it works on.
    pub current: Option<String>,
    /// What came out.
    pub result: Option<Validation>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub ended_at: Option<Timestamp>,
}

impl From<view::Job> for Job {
    fn from(job: view::Job) -> Self {
        Self {
            progress: percent(job.progress()),
            id: job.id,
            r#type: job.kind.to_owned(),
            status: job.state,
            done_bytes: job.done_bytes,
            total_bytes: job.total_bytes,
            current: job.current,
            result: job.result.as_deref().map(Validation::from),
            error: job.error,
            created_at: job.created_at,
            ended_at: job.ended_at,
        }
    }
}

/// Which part of the list of jobs is wanted.
/// A part of the list of jobs, the latest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// The jobs of this page.
    pub jobs: Vec<Job>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<Page<view::Job>> for JobList {
    fn from(page: Page<view::Job>) -> Self {
        Self { part: ListPart::from(&page), jobs: page.items.into_iter().map(Job::from).collect() }
    }
}
