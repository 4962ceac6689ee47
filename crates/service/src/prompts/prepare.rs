//! From the graph that somebody gives to one that ComfyUI takes: converted, put right where that is asked for, checked.

use std::sync::Arc;

use comfy_client::{
    Fault, ObjectInfo,
    graph::{convert, is_ui_format},
    requirements::{FixedPath, fix_paths},
    validate,
};
use serde_json::{Map, Value};

use super::{ConvertedWorkflow, Prompts};
use crate::{Error, RefusedWorkflow};

/// A graph that ComfyUI should take.
pub(super) struct Prepared {
    pub(super) graph: Map<String, Value>,
    pub(super) warnings: Vec<String>,
    pub(super) fixed_paths: Vec<FixedPath>,
    pub(super) object_info: Arc<ObjectInfo>,
}

impl Prompts {
    /// Makes of a graph of either format one as `/prompt` takes it, as ComfyUI's page does. Nothing is run.
    pub async fn convert(&self, given: &Value) -> Result<ConvertedWorkflow, Error> {
        if let Some(graph) = given.as_object().filter(|_| !is_ui_format(given)) {
            let warnings = vec!["It is in the format of /prompt already".to_owned()];
            return Ok(ConvertedWorkflow { workflow: graph.clone(), warnings });
        }
        let object_info = self.comfy.client.object_info().await?;
        let converted = match convert(given, &object_info) {
            Ok(converted) => converted,
            // What ComfyUI lacks may have come since it was asked.
            Err(_) => convert(given, &*self.fresh_object_info().await?).map_err(|refused| invalid(refused.faults))?,
        };
        Ok(ConvertedWorkflow { workflow: converted.prompt, warnings: converted.warnings })
    }

    /// Prepares a graph by what is remembered of ComfyUI; where that finds a fault, once more by what it says now.
    pub(super) async fn prepare(&self, given: &Value, with_fixed_paths: bool) -> Result<Prepared, Error> {
        let object_info = self.comfy.client.object_info().await?;
        match prepared(given, object_info, with_fixed_paths) {
            Ok(prepared) => Ok(prepared),
            Err(_) => prepared(given, self.fresh_object_info().await?, with_fixed_paths).map_err(invalid),
        }
    }

    async fn fresh_object_info(&self) -> Result<Arc<ObjectInfo>, Error> {
        self.comfy.client.forget_object_info();
        Ok(self.comfy.client.object_info().await?)
    }
}

fn prepared(given: &Value, object_info: Arc<ObjectInfo>, with_fixed_paths: bool) -> Result<Prepared, Vec<Fault>> {
    let (mut graph, warnings) = if is_ui_format(given) {
        let converted = convert(given, &object_info).map_err(|refused| refused.faults)?;
        (Value::Object(converted.prompt), converted.warnings)
    } else {
        (given.clone(), Vec::new())
    };
    let fixed_paths = match graph.as_object_mut() {
        Some(nodes) if with_fixed_paths => fix_paths(nodes, &object_info),
        _ => Vec::new(),
    };
    let faults = validate(&graph, Some(&object_info));
    match graph {
        Value::Object(graph) if faults.is_empty() => Ok(Prepared { graph, warnings, fixed_paths, object_info }),
        _ => Err(faults),
    }
}

fn invalid(faults: Vec<Fault>) -> Error {
    Error::InvalidWorkflow(Box::new(RefusedWorkflow { faults, ..RefusedWorkflow::default() }))
}
