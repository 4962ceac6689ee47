//! What kind of thing a workflow makes, by its output nodes.

use serde_json::{Map, Value};

use crate::object_info::{NodeType, ObjectInfo};

/// What a workflow makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaKind {
    /// Neither of the following: text, meshes, nothing that is known.
    Other,
    /// Pictures.
    Image,
    /// Sound without pictures.
    Audio,
    /// Moving pictures.
    Video,
}

impl MediaKind {
    /// `image_generation`, `video_generation`, `audio_generation` or `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Image => "image_generation",
            Self::Audio => "audio_generation",
            Self::Video => "video_generation",
        }
    }
}

/// What a prompt makes: a video even if it shows single pictures on the way, and sound before pictures likewise.
pub fn media_kind(prompt: &Map<String, Value>, object_info: &ObjectInfo) -> MediaKind {
    kind_of_types(prompt.values().filter_map(|node| node.get("class_type")?.as_str()), object_info)
}

/// As `media_kind`, by the types of its nodes alone.
pub fn kind_of_types<'a>(node_types: impl Iterator<Item = &'a str>, object_info: &ObjectInfo) -> MediaKind {
    let types = node_types.filter_map(|name| object_info.get(name));
    types.filter(|node_type| node_type.output_node).map(kind_of).max().unwrap_or(MediaKind::Other)
}

fn kind_of(node_type: &NodeType) -> MediaKind {
    let takes = |kind: &str| node_type.inputs.iter().any(|input| input.kind.split(',').any(|own| own == kind));
    // Pictures at so many a second are a film.
    if takes("VIDEO") || (takes("IMAGE") && ["fps", "frame_rate"].iter().any(|rate| node_type.input(rate).is_some())) {
        MediaKind::Video
    } else if takes("AUDIO") {
        MediaKind::Audio
    } else if takes("IMAGE") || takes("MASK") || takes("SVG") {
        MediaKind::Image
    } else {
        MediaKind::Other
    }
}
