//! The workflows that are shipped, each with the preset that has its models. The preset names it too.

use std::sync::Arc;

use registry::PresetId;
use serde_json::Value;

use super::{WorkflowDetail, WorkflowOrigin, WorkflowView, etag_of, format_of};
use crate::Error;

/// A shipped workflow.
#[derive(Debug, PartialEq)]
pub(super) struct Template {
    id: &'static str,
    name: &'static str,
    category: &'static str,
    description: &'static str,
    preset: &'static str,
    graph: &'static str,
}

/// Every one of them.
pub(super) static TEMPLATES: [Template; 4] = [
    Template {
        id: "sdxl_text_to_image",
        name: "SDXL text to image",
        category: "Image Generation",
        description: "A picture of 1024 x 1024 pixels from a description, with SDXL 1.0 and its own VAE.",
        preset: "SDXL_BASE_V1",
        graph: include_str!("../../templates/sdxl_text_to_image.json"),
    },
    Template {
        id: "flux_schnell_text_to_image",
        name: "FLUX schnell text to image",
        category: "Image Generation",
        description: "A picture of 1024 x 1024 pixels from a description, in four steps, with FLUX.1 schnell.",
        preset: "FLUX_SCHNELL_BASIC",
        graph: include_str!("../../templates/flux_schnell_text_to_image.json"),
    },
    Template {
        id: "wan22_5b_text_to_video",
        name: "Wan 2.2 5B text to video",
        category: "Video Generation",
        description: "Two seconds of video at 1280 x 704 from a description, with Wan 2.2 TI2V 5B.",
        preset: "WAN2_2_TI2V_5B_FP16",
        graph: include_str!("../../templates/wan22_5b_text_to_video.json"),
    },
    Template {
        id: "ace_step_text_to_music",
        name: "ACE-Step text to music",
        category: "Audio Generation",
        description: "A minute of music from a style and words to sing, with ACE-Step v1 3.5B.",
        preset: "ACE_STEP_V1_3_5B",
        graph: include_str!("../../templates/ace_step_text_to_music.json"),
    },
];

/// The template of that id.
pub(super) fn find(id: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.id == id)
}

impl Template {
    pub(super) fn view(&self) -> WorkflowView {
        WorkflowView {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            category: self.category.to_owned(),
            description: self.description.to_owned(),
            preset: PresetId::parse(self.preset).ok(),
            path: format!("workflows/templates/{}.json", self.id),
            origin: WorkflowOrigin::Template,
            size_bytes: Some(self.graph.len() as u64),
            modified: None,
        }
    }

    pub(super) fn detail(&self) -> Result<WorkflowDetail, Error> {
        let workflow: Value = serde_json::from_str(self.graph).map_err(Error::internal)?;
        Ok(WorkflowDetail {
            view: self.view(),
            format: format_of(&workflow),
            workflow: Arc::new(workflow),
            etag: etag_of(&[self.graph.as_bytes()]),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::collections::{BTreeMap, BTreeSet};

    use comfy_client::{ObjectInfo, requirements::requirements, validate};
    use test_support::fake_comfy::FakeComfy;

    use super::*;

    /// The recorded ComfyUI had no audio library and therefore not these two of its own nodes.
    const NOT_RECORDED: [&str; 2] = ["SaveAudio", "VAEDecodeAudio"];

    fn recorded() -> ObjectInfo {
        let mut recorded = Value::Null;
        FakeComfy::start().edit_object_info(|known| recorded = known.clone());
        ObjectInfo::from_json(&recorded)
    }

    #[test]
    fn every_template_names_a_preset_that_names_it_and_no_preset_names_another() {
        let registry = registry::embedded();
        let named: BTreeSet<&str> = registry.iter().flat_map(|preset| &preset.workflows).map(String::as_str).collect();
        let shipped: BTreeSet<String> = TEMPLATES.iter().map(|template| format!("{}.json", template.id)).collect();
        assert_eq!(named, shipped.iter().map(String::as_str).collect());
        for template in &TEMPLATES {
            let preset = registry.get(&PresetId::parse(template.preset).unwrap()).unwrap();
            assert!(preset.workflows.contains(&format!("{}.json", template.id)), "{}", template.id);
            assert_eq!(preset.category, template.category);
        }
    }

    #[test]
    fn every_model_of_a_template_is_a_file_of_its_preset() {
        let object_info = recorded();
        for template in &TEMPLATES {
            let preset = registry::embedded().get(&PresetId::parse(template.preset).unwrap()).unwrap().clone();
            let files: Vec<&str> = preset.files.iter().map(|file| file.path.as_str()).collect();
            let graph: Value = serde_json::from_str(template.graph).unwrap();
            let needs = requirements(&graph, &object_info, &BTreeMap::new());
            assert!(!needs.models.is_empty(), "{}", template.id);
            for model in needs.models {
                let path = format!("{}/{}", model.folder.unwrap(), model.name);
                assert!(files.contains(&path.as_str()), "{}: {path} is none of {files:?}", template.id);
            }
        }
    }

    #[test]
    fn every_template_runs_but_for_models_that_are_not_there() {
        let object_info = recorded();
        for template in &TEMPLATES {
            let graph: Value = serde_json::from_str(template.graph).unwrap();
            let unexpected: Vec<String> = validate(&graph, None, Some(&object_info))
                .faults
                .into_iter()
                .filter(|fault| !fault.node_type.as_deref().is_some_and(|kind| NOT_RECORDED.contains(&kind)))
                .filter(|fault| !fault.input.as_deref().is_some_and(|input| input.contains("_name")))
                .map(|fault| fault.to_string())
                .filter(|words| !words.contains("no output node"))
                .collect();
            assert_eq!(unexpected, Vec::<String>::new(), "{}", template.id);
        }
    }

    #[test]
    fn the_links_of_every_template_lead_to_its_own_nodes() {
        for template in &TEMPLATES {
            let graph: Value = serde_json::from_str(template.graph).unwrap();
            assert_eq!(validate(&graph, None, None).faults, [], "{}", template.id);
        }
    }
}
