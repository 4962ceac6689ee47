//! One model file as JSON, with what its own bytes say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use service::models as view;
use utoipa::ToSchema;

use super::models::Model;

/// What the head of a file declares.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelHeader {
    /// How many tensors the file holds.
    pub tensors: u64,
    /// How many numbers they hold together.
    pub parameters: u64,
    /// Bytes of the tensors of each element type.
    pub dtypes: BTreeMap<String, u64>,
    /// The file's own remarks.
    pub metadata: BTreeMap<String, String>,
    /// Remarks were left out because they are too long.
    pub metadata_cut: bool,
}

/// A model file and what its own bytes say.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelDetail {
    /// The file as lists show it.
    #[serde(flatten)]
    pub model: Model,
    /// What the bytes are: `safetensors`, `gguf`, `torch`, `pickle`, `zip`, `7z`, `rar`, `compressed`, `npy`, `html`,
    /// `lfs_pointer`, `empty` or `unknown`.
    #[schema(example = "safetensors")]
    pub format: String,
    /// Whether the structure accounts for every byte, for formats that say so.
    pub whole: Option<bool>,
    /// What is wrong with the structure.
    pub damage: Option<String>,
    /// What loading it would import, or why that cannot be said.
    pub safety_reason: Option<String>,
    /// The name promises another format.
    pub wrong_format: Option<String>,
    /// What the head declares; safetensors and GGUF only.
    pub header: Option<ModelHeader>,
}

impl From<view::ModelDetail> for ModelDetail {
    fn from(detail: view::ModelDetail) -> Self {
        let safety_reason = match detail.pickle {
            None | Some(view::PickleVerdict::Clean) => None,
            Some(view::PickleVerdict::Unsafe(imports)) => Some(imports.join(", ")),
            Some(view::PickleVerdict::Unknown(reason)) => Some(reason),
        };
        Self {
            model: detail.view.into(),
            format: detail.format.as_str().to_owned(),
            whole: detail.whole,
            damage: detail.damage,
            safety_reason,
            wrong_format: detail.wrong_format,
            header: detail.header.as_ref().map(ModelHeader::from),
        }
    }
}

impl From<&view::ModelHeader> for ModelHeader {
    fn from(header: &view::ModelHeader) -> Self {
        Self {
            tensors: header.tensors(),
            parameters: header.parameters(),
            dtypes: header.dtypes().map(|(name, bytes)| (name.to_owned(), bytes)).collect(),
            metadata: header.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            metadata_cut: header.is_metadata_cut(),
        }
    }
}
