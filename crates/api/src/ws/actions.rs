//! What a client of the socket can have done: the same facade methods as the routes of the same name.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use service::Dashboard;

use super::message::{ClientMessage, Encoded};
use crate::dto::{
    download_requests::DownloadStanding,
    downloads::DownloadState,
    error::ErrorBody,
    installs::{InstallRequest, InstallStarted},
    prompts::{ExecuteRequest, PromptAccepted},
    queue::{InterruptRequest, Interrupted},
};
use crate::error::ApiError;
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
    Some(match asked.action.as_str() {
        "install_preset" => install_preset(dashboard, role, &asked.data).await,
        "execute_workflow" => execute_workflow(dashboard, &asked.data).await,
        "interrupt" => interrupt(dashboard, &asked.data).await,
        other => change_download(dashboard, other, &asked.data).await,
    })
}

/// What an action is done to, as the client named it.
pub(super) fn target(asked: &ClientMessage) -> &str {
    let named = ["preset_id", "download_id", "workflow_id", "prompt_id"]
        .into_iter()
        .find_map(|name| asked.data.get(name)?.as_str());
    named.unwrap_or_default()
}

async fn install_preset(dashboard: &Dashboard, role: Role, data: &Map<String, Value>) -> Result<Value, ApiError> {
    let preset = known_form(text(data, "preset_id")?)?;
    let request: InstallRequest = value(data)?;
    let started = dashboard.presets.install(&preset, request.options(role)).await?;
    Ok(json!(InstallStarted::from(started)))
}

async fn execute_workflow(dashboard: &Dashboard, data: &Map<String, Value>) -> Result<Value, ApiError> {
    let request: ExecuteRequest = value(data)?;
    let accepted = dashboard.prompts.execute(request.prompt(false)?).await?;
    Ok(json!(PromptAccepted::from(accepted)))
}

async fn interrupt(dashboard: &Dashboard, data: &Map<String, Value>) -> Result<Value, ApiError> {
    let request: InterruptRequest = value(data)?;
    let stopped = dashboard.prompts.interrupt(request.prompt_id.as_deref()).await?;
    Ok(json!(Interrupted::from(stopped)))
}

async fn change_download(dashboard: &Dashboard, action: &str, data: &Map<String, Value>) -> Result<Value, ApiError> {
    let download = text(data, "download_id")?;
    let status = match action {
        "pause_download" => dashboard.downloads.pause(download).await?.into(),
        "resume_download" => dashboard.downloads.resume(download).await?.into(),
        _ => {
            let files_removed = dashboard.downloads.cancel(download).await?;
            let status = DownloadState::Cancelled;
            return Ok(json!({"status": status, "download_id": download, "files_removed": files_removed}));
        }
    };
    Ok(json!(DownloadStanding { status, download_id: download.to_owned() }))
}

fn text<'a>(data: &'a Map<String, Value>, name: &str) -> Result<&'a str, ApiError> {
    let given = data.get(name).and_then(Value::as_str);
    given.ok_or_else(|| ApiError::invalid(&format!("data.{name}"), "a text is needed"))
}

fn value<T: DeserializeOwned>(data: &Map<String, Value>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(Value::Object(data.clone()))
        .map_err(|refused| ApiError::invalid(&format!("data.{}", refused.path()), refused.inner()))
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
    let data = json!({
        "action": asked.action,
        "request_id": asked.request_id,
        "status": status,
        "result": result,
        "error": error,
    });
    Encoded::reply("action_result", now, &asked.request_id, &data)
}
