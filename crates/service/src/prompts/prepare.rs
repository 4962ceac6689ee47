//! From the graph that somebody gives to one that ComfyUI takes: converted, put right where that is asked for, checked.

use std::sync::Arc;

use comfy_client::{
    Fault, ObjectInfo, Verdict,
    graph::{convert, is_ui_format},
    requirements::{FixedPath, fix_paths},
    validate,
};
use serde_json::{Map, Value};

use super::{ConvertedWorkflow, Prompts};
use crate::{Error, RefusedWorkflow, workflows::graph_in};

/// A graph that ComfyUI should take.
pub(super) struct Prepared {
    pub(super) graph: Map<String, Value>,
    pub(super) warnings: Vec<String>,
    /// What ComfyUI will probably refuse.
    pub(super) doubts: Vec<Fault>,
    pub(super) fixed_paths: Vec<FixedPath>,
    pub(super) object_info: Arc<ObjectInfo>,
}

/// How a graph is prepared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Model files in another subfolder than the graph says are put right.
    pub(super) fix_paths: bool,
    /// Only these outputs run.
    pub(super) targets: Option<&'a [String]>,
}

impl Prompts {
    /// Makes of a graph of either format one as `/prompt` takes it, as ComfyUI's page does. Nothing is run.
    pub async fn convert(&self, given: Value) -> Result<ConvertedWorkflow, Error> {
        let given = &graph_in(given)?;
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
    pub(super) async fn prepare(&self, given: &Value, wanted: Wanted<'_>) -> Result<Prepared, Error> {
        let object_info = self.comfy.client.object_info().await?;
        match prepared(given, object_info, wanted) {
            Ok(prepared) if prepared.doubts.is_empty() || !wanted.fix_paths => Ok(prepared),
            _ => prepared(given, self.fresh_object_info().await?, wanted).map_err(invalid),
        }
    }

    /// Prepares a graph without asking ComfyUI: by what is remembered of it, else as it is. One in the page's format cannot be
    /// converted then.
    pub(super) async fn prepare_unasked(&self, given: &Value, wanted: Wanted<'_>) -> Result<Prepared, Error> {
        match self.comfy.client.remembered_object_info() {
            Some(object_info) => prepared(given, object_info, wanted).map_err(invalid),
            None if is_ui_format(given) => self.prepare(given, wanted).await,
            None => {
                let verdict = validate(given, wanted.targets, None);
                match given {
                    Value::Object(graph) if verdict.faults.is_empty() => Ok(Prepared {
                        graph: graph.clone(),
                        warnings: Vec::new(),
                        doubts: verdict.doubts,
                        fixed_paths: Vec::new(),
                        object_info: Arc::default(),
                    }),
                    _ => Err(invalid(verdict.faults)),
                }
            }
        }
    }

    async fn fresh_object_info(&self) -> Result<Arc<ObjectInfo>, Error> {
        self.comfy.client.forget_object_info();
        Ok(self.comfy.client.object_info().await?)
    }
}

fn prepared(given: &Value, object_info: Arc<ObjectInfo>, wanted: Wanted<'_>) -> Result<Prepared, Vec<Fault>> {
    let (mut graph, warnings) = if is_ui_format(given) {
        let converted = convert(given, &object_info).map_err(|refused| refused.faults)?;
        (Value::Object(converted.prompt), converted.warnings)
    } else {
        (given.clone(), Vec::new())
    };
    let fixed_paths = match graph.as_object_mut() {
        Some(nodes) if wanted.fix_paths => fix_paths(nodes, &object_info),
        _ => Vec::new(),
    };
    let Verdict { faults, doubts } = validate(&graph, wanted.targets, Some(&object_info));
    match graph {
        Value::Object(mut graph) if faults.is_empty() => {
            note_replaced(&mut graph, &object_info);
            Ok(Prepared { graph, warnings, doubts, fixed_paths, object_info })
        }
        _ => Err(faults),
    }
}

/// ComfyUI 0.33 fails (500) on a node that it would replace, if that has no `_meta`.
fn note_replaced(graph: &mut Map<String, Value>, object_info: &ObjectInfo) {
    for node in graph.values_mut().filter_map(Value::as_object_mut) {
        let class_type = node.get("class_type").and_then(Value::as_str);
        if class_type.is_some_and(|name| object_info.replacement(name).is_some()) {
            node.entry("_meta").or_insert_with(|| Value::Object(Map::new()));
        }
    }
}

fn invalid(faults: Vec<Fault>) -> Error {
    Error::InvalidWorkflow(Box::new(RefusedWorkflow { faults, ..RefusedWorkflow::default() }))
}
