//! Ids of workflows: opaque words that are safe in a URL, and what each stands for. A word that stands for nothing is none.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use registry::ConfinedPath;
use sha2::{Digest, Sha256};

use super::templates::{self, Template};

/// How the id of a workflow begins that was saved here.
pub(super) const SAVED_HERE: &str = "custom_";
/// How the id of a file begins that somebody put into the folder; its name follows, encoded.
const BY_HAND: &str = "file_";
/// How the id of a workflow of ComfyUI's own page begins; its path follows, encoded.
const COMFY: &str = "comfyui_";
/// What every file of a graph ends with.
const ENDING: &str = ".json";
/// What the file beside a graph ends with that says what people call it.
pub(super) const ABOUT_ENDING: &str = ".about.json";

/// Most bytes of the name of a file.
const LONGEST_FILE_NAME: usize = 255;
/// Bytes of the hash in the name of a file whose own name is too long to be extended.
const HASH_BYTES: usize = 8;

/// What an id stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WorkflowId {
    Template(&'static Template),
    User(FileName),
    /// The path under ComfyUI's own folder of workflows.
    Comfy(String),
}

/// The name of a file right in the user's folder. It has no separator and leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName(String);

impl WorkflowId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(template) = templates::find(text) {
            return Some(Self::Template(template));
        }
        if let Some(encoded) = text.strip_prefix(BY_HAND) {
            return FileName::parse(&decoded(encoded)?).filter(|name| name.id() == text).map(Self::User);
        }
        if let Some(encoded) = text.strip_prefix(COMFY) {
            return ConfinedPath::parse(&decoded(encoded)?).ok().map(|path| Self::Comfy(path.as_str().to_owned()));
        }
        FileName::parse(&format!("{text}{ENDING}")).filter(|name| name.is_saved_here()).map(Self::User)
    }

    /// The id of a workflow that ComfyUI's own page saved.
    pub(super) fn of_comfy(path: &str) -> String {
        format!("{COMFY}{}", BASE64_URL_SAFE_NO_PAD.encode(path))
    }
}

impl FileName {
    /// The name of a graph's file; `None` for every other name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_graph = text.ends_with(ENDING) && !text.ends_with(ABOUT_ENDING) && !text.starts_with('.');
        let is_one_name = ConfinedPath::parse(text).is_ok_and(|path| path.folder().is_none());
        (is_graph && is_one_name).then(|| Self(text.to_owned()))
    }

    /// A name that no other workflow has.
    pub(super) fn new() -> Self {
        Self(format!("{}{ENDING}", crate::ids::new_workflow_id()))
    }

    /// The id of the workflow in this file.
    pub(super) fn id(&self) -> String {
        if self.is_saved_here() {
            self.stem().to_owned()
        } else {
            format!("{BY_HAND}{}", BASE64_URL_SAFE_NO_PAD.encode(&self.0))
        }
    }

    /// The name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.0.strip_suffix(ENDING).unwrap_or(&self.0)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The file beside it that says what people call it. Where the name leaves no room for the longer ending, a hash stands
    /// for its end.
    pub(super) fn about(&self) -> String {
        let stem = self.stem();
        if stem.len() + ABOUT_ENDING.len() <= LONGEST_FILE_NAME {
            return format!("{stem}{ABOUT_ENDING}");
        }
        let hash = hex::encode(&Sha256::digest(&self.0)[..HASH_BYTES]);
        let room = LONGEST_FILE_NAME - ABOUT_ENDING.len() - 2 * HASH_BYTES - 1;
        let beginning = stem.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or(0);
        format!("{}~{hash}{ABOUT_ENDING}", &stem[..beginning])
    }

    fn is_saved_here(&self) -> bool {
        let digits = self.stem().strip_prefix(SAVED_HERE);
        digits.is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn every_name_of_a_graph_has_an_id_that_leads_back_to_it() {
        for name in
            ["custom_0123456789abcdef0123456789abcdef.json", "my flow.json", "Überblick (2).json", "custom_1.json"]
        {
            let file = FileName::parse(name).unwrap();
            let id = file.id();
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')), "{id}");
            assert_eq!(WorkflowId::parse(&id), Some(WorkflowId::User(file)), "{name}");
        }
        assert_eq!(
            WorkflowId::parse(&WorkflowId::of_comfy("a/b.json")),
            Some(WorkflowId::Comfy("a/b.json".to_owned()))
        );
    }

    #[test]
    fn no_word_leads_out_of_the_folder() {
        let hidden = |name: &str| format!("{BY_HAND}{}", BASE64_URL_SAFE_NO_PAD.encode(name));
        let hostile = [
            "../custom_1".to_owned(),
            "custom_../../etc/passwd".to_owned(),
            hidden("../escape.json"),
            hidden("sub/escape.json"),
            hidden("/etc/escape.json"),
            hidden(".hidden.json"),
            hidden("custom_1.about.json"),
            hidden("no_graph.txt"),
            hidden("custom_0123456789abcdef0123456789abcdef.json"),
            WorkflowId::of_comfy("../../secret.json"),
            String::new(),
            "file_".to_owned(),
            "file_%%%".to_owned(),
        ];
        for text in hostile {
            assert_eq!(WorkflowId::parse(&text), None, "{text}");
        }
    }
}
