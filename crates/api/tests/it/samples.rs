//! One request for each operation of the document, by what it is about.

use serde_json::{Value, json};

/// An operation, how it is asked, and the status that it answers with. `SMALL` is installed, and `downloads/HELD` stands for the
/// download of `HELD`, which is under way.
pub(crate) struct Sample {
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
}

fn sample(operation: &'static str, method: &'static str, path: &'static str, status: u16) -> Sample {
    Sample { operation, method, path, body: None, status }
}

fn with_body(operation: &'static str, method: &'static str, path: &'static str, body: Value, status: u16) -> Sample {
    Sample { operation, method, path, body: Some(body), status }
}

/// Every sample. None needs what another one left.
pub(crate) fn samples() -> Vec<Sample> {
    [of_system(), of_presets(), of_downloads(), of_models(), of_comfyui(), of_workflows(), of_access(), of_sockets()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_system() -> Vec<Sample> {
    vec![
        sample("health", "GET", "/health", 200),
        sample("api_health", "GET", "/api/health", 200),
        sample("livez", "GET", "/livez", 200),
        sample("readyz", "GET", "/readyz", 200),
        sample("metrics", "GET", "/metrics", 200),
        sample("openapi", "GET", "/api/openapi.json", 200),
        sample("system_status", "GET", "/api/system/status", 200),
        sample("storage", "GET", "/api/system/storage?detail=true", 200),
        sample("resources", "GET", "/api/system/resources", 200),
        sample("logs", "GET", "/api/system/logs?lines=5", 200),
    ]
}

fn of_presets() -> Vec<Sample> {
    vec![
        sample("recommendations", "GET", "/api/presets/recommendations?vram_gb=24", 200),
        sample("updates", "GET", "/api/presets/updates", 200),
        sample("registry_status", "GET", "/api/presets/registry/status", 200),
        sample("sync_registry", "POST", "/api/presets/registry/sync", 502),
        sample("sync_registry_by_get", "GET", "/api/presets/registry/sync", 502),
        sample("list_presets", "GET", "/api/presets?sort=size&order=desc&per_page=5", 200),
        sample("preset_detail", "GET", "/api/presets/SMALL", 200),
        sample("preset_status", "GET", "/api/presets/HELD/status", 200),
        sample("install_preset", "POST", "/api/presets/HELD/install", 202),
    ]
}

fn of_downloads() -> Vec<Sample> {
    let link = json!({"url": "https://huggingface.co/acme/small/resolve/main/one.safetensors", "path": "loras/link.safetensors"});
    vec![
        sample("list_downloads", "GET", "/api/downloads", 200),
        sample("get_download", "GET", "/api/downloads/HELD", 200),
        with_body(
            "change_download",
            "PATCH",
            "/api/downloads/HELD",
            json!({"priority": "high", "rate_limit": null}),
            200,
        ),
        sample("pause_download", "POST", "/api/downloads/HELD/pause", 200),
        sample("resume_download", "POST", "/api/downloads/HELD/resume", 200),
        sample("cancel_download", "DELETE", "/api/downloads/HELD", 200),
        with_body("add_download", "POST", "/api/downloads", link, 202),
        sample("download_history", "GET", "/api/downloads/history", 200),
        sample("clear_download_history", "DELETE", "/api/downloads/history", 200),
    ]
}

fn of_models() -> Vec<Sample> {
    vec![
        sample("rescan_models", "POST", "/api/models/rescan", 200),
        with_body("repair_models", "POST", "/api/models/repair", json!({"paths": ["no/such.file"]}), 409),
        sample("list_models", "GET", "/api/models?sort=size", 200),
        sample("list_model_types", "GET", "/api/models/types", 200),
        sample("model_detail", "GET", "/api/models/loras/one.safetensors", 200),
        sample("validate_models", "GET", "/api/models/validate?background=true", 202),
        sample("list_jobs", "GET", "/api/jobs", 200),
        sample("get_job", "GET", "/api/jobs/job_none", 404),
        sample("cancel_job", "DELETE", "/api/jobs/job_none", 404),
        sample(
            "delete_models",
            "DELETE",
            "/api/models?paths=loras/one.safetensors&paths=no/such.file&confirm=true",
            200,
        ),
        sample("uninstall_preset", "DELETE", "/api/presets/SMALL?confirm=true", 200),
    ]
}

fn of_access() -> Vec<Sample> {
    vec![
        with_body("log_in", "POST", "/api/auth/login", json!({"password": "a guess"}), 401),
        sample("me", "GET", "/api/auth/me", 200),
        sample("log_out", "POST", "/api/auth/logout", 200),
        sample("list_keys", "GET", "/api/auth/keys", 200),
        sample("generate_key", "POST", "/api/auth/keys", 201),
        sample("revoke_key", "DELETE", "/api/auth/keys/key_0", 404),
        sample("revoke_named_key", "DELETE", "/api/auth/keys?id=key_0", 404),
        sample("list_sessions", "GET", "/api/auth/sessions", 200),
        sample("revoke_session", "DELETE", "/api/auth/sessions/ses_0", 404),
        sample("revoke_all_sessions", "DELETE", "/api/auth/sessions", 200),
        sample("get_settings", "GET", "/api/settings", 200),
        with_body("change_settings", "PATCH", "/api/settings", json!({"download_rate_limit": 0}), 200),
        with_body("set_token", "PUT", "/api/settings/tokens/civitai", json!({"token": "abc"}), 200),
        sample("clear_token", "DELETE", "/api/settings/tokens/civitai", 200),
        sample("list_audit", "GET", "/api/audit?per_page=5", 200),
    ]
}

fn of_comfyui() -> Vec<Sample> {
    vec![
        sample("comfyui_health", "GET", "/api/comfyui/health", 200),
        with_body("execute", "POST", "/api/comfyui/execute", json!({"workflow": picture(), "priority": 1}), 200),
        sample("queue", "GET", "/api/comfyui/queue", 200),
        sample("pause_queue", "POST", "/api/comfyui/queue/pause", 200),
        sample("resume_queue", "POST", "/api/comfyui/queue/resume", 200),
        with_body("change_prompt", "PATCH", "/api/comfyui/queue/none", json!({"priority": 2}), 404),
        sample("cancel_prompt", "DELETE", "/api/comfyui/queue/none", 404),
        sample("interrupt", "POST", "/api/comfyui/interrupt", 200),
        sample("clear_queue", "DELETE", "/api/comfyui/queue?type=all", 200),
        sample("list_prompts", "GET", "/api/comfyui/history?status=completed", 200),
        sample("prompt_history", "GET", "/api/comfyui/history/none", 404),
        sample("clear_prompt_history", "DELETE", "/api/comfyui/history", 200),
        sample("free", "POST", "/api/comfyui/free", 200),
        sample("list_outputs", "GET", "/api/outputs?sort=size", 200),
        sample("view_output", "GET", "/api/outputs/view?filename=none.png", 404),
        sample("delete_outputs", "DELETE", "/api/outputs?paths=none.png&confirm=true", 409),
        with_body("upload_input", "POST", "/api/inputs?filename=face.png", json!("a face"), 201),
    ]
}

fn of_workflows() -> Vec<Sample> {
    vec![
        sample("list_workflows", "GET", "/api/workflows?category=Video%20Generation&sort=modified", 200),
        sample("get_workflow", "GET", "/api/workflows/sdxl_text_to_image", 200),
        with_body("save_workflow", "POST", "/api/workflows", json!({"name": "Mine", "workflow": {}}), 201),
        with_body("update_workflow", "PUT", "/api/workflows/sdxl_text_to_image", json!({"name": "Mine"}), 403),
        sample("delete_workflow", "DELETE", "/api/workflows/custom_none", 404),
        with_body("convert_workflow", "POST", "/api/workflows/convert", json!({"workflow": picture()}), 200),
        with_body("graph_requirements", "POST", "/api/workflows/requirements", json!({"workflow": picture()}), 200),
        sample("workflow_requirements", "GET", "/api/workflows/sdxl_text_to_image/requirements", 200),
        with_body(
            "install_workflow",
            "POST",
            "/api/workflows/install",
            json!({"workflow": picture(), "dry_run": true}),
            200,
        ),
        sample("install_requirements", "POST", "/api/workflows/sdxl_text_to_image/install-requirements", 202),
    ]
}

/// A graph that ComfyUI runs at once.
fn picture() -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "made"}},
    })
}

fn of_sockets() -> Vec<Sample> {
    vec![sample("open_socket", "GET", "/ws", 400), sample("open_api_socket", "GET", "/api/ws", 400)]
}
