//! What a weight file does, by the folder that ComfyUI keeps it in.

/// The part that a weight file plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `diffusion_models`, `unet`.
    Diffusion,
    /// `checkpoints`: diffusion model, text encoder and VAE in one file.
    Checkpoint,
    /// `text_encoders`, `clip`.
    TextEncoder,
    /// `clip_vision`, `audio_encoders`, `style_models`: run once before sampling.
    Conditioner,
    /// `vae`, `vae_approx`.
    Vae,
    /// `loras`, `embeddings`, `hypernetworks`: changes other weights, runs by nothing of its own.
    Addition,
    /// `controlnet`, `t2i_adapter`, `model_patches`: runs beside the diffusion model.
    ControlNet,
    /// `upscale_models`.
    Upscaler,
    /// Any other folder.
    Other,
}

impl Role {
    /// The role of a file by its path beneath the models folder.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match path.split('/').next().unwrap_or_default() {
            "diffusion_models" | "unet" => Self::Diffusion,
            "checkpoints" => Self::Checkpoint,
            "text_encoders" | "clip" => Self::TextEncoder,
            "clip_vision" | "audio_encoders" | "style_models" => Self::Conditioner,
            "vae" | "vae_approx" => Self::Vae,
            "loras" | "embeddings" | "hypernetworks" => Self::Addition,
            "controlnet" | "t2i_adapter" | "model_patches" => Self::ControlNet,
            "upscale_models" | "latent_upscale_models" => Self::Upscaler,
            _ => Self::Other,
        }
    }
}
