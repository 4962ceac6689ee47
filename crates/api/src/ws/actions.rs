//! What a client of the socket can have done: the same facade methods as the routes of the same name.

use actix_web::web;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use service::Dashboard;

use super::message::{ClientMessage, Encoded, RequestId};
use crate::dto::{
    download_requests::DownloadStanding,
    downloads::DownloadState,
    error::ErrorBody,
    installs::{InstallRequest, InstallStarted},
    prompts::{ExecuteRequest, PromptAccepted},
    queue::{InterruptRequest, Interrupted},
};
use crate::error::ApiError;
use crate::large_bodies::LARGE_BODY_BYTES;
use crate::middleware::admit::too_little;
use crate::operations::Role;
use crate::routes::presets::known_form;

/// Every action and the role that it needs.
pub(crate) const ACTIONS: [(&str, Role); 6] = [
    ("install_preset", Role::Operate),
    ("pause_download", Role::Operate),
    ("resume_download", Role::Operate),
    ("cancel_download", Role::Operate),
    ("execute_workflow", Role::Operate),
    ("interrupt", Role::Operate),
];

/// Does what the client asks; `None` where there is no such action.
pub(super) async fn perform(
    dashboard: &Dashboard,
    role: Role,
    asked: &ClientMessage,
) -> Option<Result<Value, ApiError>> {
    let (_, needs) = ACTIONS.iter().find(|(name, _)| *name == asked.action)?;
    if role < *needs {
        return Some(Err(too_little(*needs, role)));
    }
    let data = match Data::of(asked) {
        Ok(data) => data,
        Err(refusal) => return Some(Err(refusal)),
    };
    Some(match asked.action.as_str() {
        "install_preset" => install_preset(dashboard, role, data).await,
        "execute_workflow" => execute_workflow(dashboard, data).await,
        "interrupt" => interrupt(dashboard, data).await,
        other => change_download(dashboard, other, data).await,
    })
}

/// What an action is done to, as the client named it.
pub(super) fn target(asked: &ClientMessage) -> String {
    let named = ["preset_id", "download_id", "workflow_id", "prompt_id"];
    let data = Data::of(asked).ok();
    data.and_then(|data| named.into_iter().find_map(|name| data.text(name).ok())).unwrap_or_default()
}

/// The data of an action, as it came.
#[derive(Debug, Clone, Copy)]
struct Data<'a>(&'a str);

/// The keys that name what an action is done to; the rest is skipped, not kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names<'a> {
    #[serde(borrow)]
    preset_id: Option<&'a RawValue>,
    download_id: Option<&'a RawValue>,
    workflow_id: Option<&'a RawValue>,
    prompt_id: Option<&'a RawValue>,
}

impl<'a> Data<'a> {
    fn of(asked: &'a ClientMessage) -> Result<Self, ApiError> {
        let text = asked.data.as_deref().map_or("{}", RawValue::get);
        let is_object = text.starts_with('{');
        is_object.then_some(Self(text)).ok_or_else(|| ApiError::invalid("data", "a JSON object is needed"))
    }

    fn text(self, name: &str) -> Result<String, ApiError> {
        let names: Names<'_> = serde_json::from_str(self.0).unwrap_or_default();
        let given = match name {
            "preset_id" => names.preset_id,
            "download_id" => names.download_id,
            "workflow_id" => names.workflow_id,
            _ => names.prompt_id,
        };
        let given = given.and_then(|given| serde_json::from_str(given.get()).ok());
        given.ok_or_else(|| ApiError::invalid(&format!("data.{name}"), "a text is needed"))
    }

    /// The data as a value: what is large is parsed off the async workers.
    async fn value<T: DeserializeOwned + Send + 'static>(self) -> Result<T, ApiError> {
        if self.0.len() <= LARGE_BODY_BYTES {
            return parse(self.0);
        }
        let text = self.0.to_owned();
        web::block(move || parse(&text)).await.map_err(ApiError::internal)?
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|refused| ApiError::unparsable(&format!("data.{}", refused.path()), refused.inner()))
}

async fn install_preset(dashboard: &Dashboard, role: Role, data: Data<'_>) -> Result<Value, ApiError> {
    let preset = known_form(&data.text("preset_id")?)?;
    let request: InstallRequest = data.value().await?;
    let started = dashboard.presets.install(&preset, request.options(role)).await?;
    Ok(json!(InstallStarted::from(started)))
}

async fn execute_workflow(dashboard: &Dashboard, data: Data<'_>) -> Result<Value, ApiError> {
    let request: ExecuteRequest = data.value().await?;
    let accepted = dashboard.prompts.execute(request.prompt(false)?).await?;
    Ok(json!(PromptAccepted::from(accepted)))
}

async fn interrupt(dashboard: &Dashboard, data: Data<'_>) -> Result<Value, ApiError> {
    let request: InterruptRequest = data.value().await?;
    let stopped = dashboard.prompts.interrupt(request.prompt_id.as_deref()).await?;
    Ok(json!(Interrupted::from(stopped)))
}

async fn change_download(dashboard: &Dashboard, action: &str, data: Data<'_>) -> Result<Value, ApiError> {
    let download = &data.text("download_id")?;
    let status = match action {
        "pause_download" => dashboard.downloads.pause(download).await?,
        "resume_download" => dashboard.downloads.resume(download).await?,
        _ => {
            let files_removed = dashboard.downloads.cancel(download).await?;
            let status = DownloadState::Cancelled;
            return Ok(json!({"status": status, "download_id": download, "files_removed": files_removed}));
        }
    };
    Ok(json!(DownloadStanding { status, download_id: download.to_owned() }))
}

/// The answer to an action as it travels.
#[derive(Debug, Serialize)]
struct ActionResult<'a> {
    action: &'a str,
    request_id: &'a RequestId,
    status: &'static str,
    result: Value,
    error: Value,
}

/// The answer to an action: with its result, or with what went wrong.
pub(super) fn result(asked: &ClientMessage, outcome: Result<Value, ErrorBody>, now: Timestamp) -> Encoded {
    let (status, result, error) = match outcome {
        Ok(result) => ("success", result, Value::Null),
        Err(body) => {
            let error = json!({"code": body.code, "message": body.message, "details": body.details});
            ("error", Value::Null, error)
        }
    };
    let data = ActionResult { action: &asked.action, request_id: &asked.request_id, status, result, error };
    Encoded::reply("action_result", now, &asked.request_id, &data)
}
