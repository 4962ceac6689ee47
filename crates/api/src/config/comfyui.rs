//! Where ComfyUI is, and what the machine has.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::values::http_url;

/// Where ComfyUI is, and what the machine has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "ComfyUI")]
pub struct ComfyUiSettings {
    /// Where ComfyUI answers
    #[arg(long, env, global = true, value_name = "URL", value_parser = http_url, default_value = "http://127.0.0.1:8188", hide_env_values = true)]
    pub comfyui_url: Url,
    /// Whose workflows are listed, where ComfyUI runs with `--multi-user`: the id of a user
    #[arg(long, env, global = true, value_name = "ID", value_parser = user, hide_env_values = true)]
    pub comfyui_user: Option<String>,
    /// ComfyUI's log
    #[arg(long, env, global = true, value_name = "FILE", hide_env_values = true)]
    pub comfyui_log_file: Option<PathBuf>,
    /// Most prompts that wait
    #[arg(long, env, global = true, value_name = "N", value_parser = whole, default_value = "100", hide_env_values = true)]
    pub comfyui_max_queue: u32,
    /// Prompts that are handed to ComfyUI ahead of their turn
    #[arg(long, env, global = true, value_name = "N", value_parser = whole, default_value = "2", hide_env_values = true)]
    pub comfyui_ahead: u32,
    /// Video memory in GB, where no GPU can be asked
    #[arg(long, env, global = true, value_name = "GB", value_parser = vram, hide_env_values = true)]
    pub gpu_vram_gb: Option<f64>,
}

fn whole(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count >= 1 => Ok(count),
        _ => Err("it takes a whole number from 1".to_owned()),
    }
}

fn user(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_id.then(|| text.to_owned()).ok_or_else(|| "it takes the id of a user, such as alice_6f1e…".to_owned())
}

fn vram(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(gb) if gb > 0.0 && gb.is_finite() => Ok(gb),
        _ => Err("it takes a number of GB above 0".to_owned()),
    }
}
