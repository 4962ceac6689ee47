//! The forms in which people hold a workflow: the graph itself in either format, wrapped as ComfyUI's `/prompt` and the workers of
//! other services take it, or as text. What is no graph is refused, so that a judgement and a run never disagree.

use comfy_client::graph::is_ui_format;
use serde_json::Value;

use crate::{Error, json_bounds};

/// The keys under which wrappers hold a graph, the most telling first.
const WRAPPERS: [&str; 3] = ["workflow", "prompt", "input"];
/// How many wrappers may lie around a graph.
const DEEPEST: usize = 4;

/// The graph in what somebody gave for a workflow.
pub(crate) fn graph_in(given: Value) -> Result<Value, Error> {
    unwrapped(given, DEEPEST).map_err(Error::NoGraph)
}

fn unwrapped(given: Value, deep: usize) -> Result<Value, String> {
    let mut fields = match given {
        Value::Object(_) if is_ui_format(&given) || is_api_format(&given) => return Ok(given),
        Value::Object(fields) => fields,
        Value::String(text) if deep > 0 => return unwrapped(parsed(&text)?, deep - 1),
        other => return Err(no_graph(&format!("this is {}", kind_of(&other)))),
    };
    let wrapped = WRAPPERS.into_iter().filter_map(|key| fields.remove(key));
    let mut refused = None;
    for inner in wrapped.take(if deep > 0 { WRAPPERS.len() } else { 0 }) {
        match unwrapped(inner, deep - 1) {
            Ok(graph) => return Ok(graph),
            Err(problem) => drop(refused.get_or_insert(problem)),
        }
    }
    Err(refused.unwrap_or_else(|| no_graph("this object has neither a list of `nodes` nor a node with a `class_type`")))
}

fn is_api_format(given: &Value) -> bool {
    let is_node = |node: &Value| node.get("class_type").is_some() || node.get("inputs").is_some_and(Value::is_object);
    given.as_object().into_iter().flatten().any(|(_, node)| is_node(node))
}

fn parsed(text: &str) -> Result<Value, String> {
    json_bounds::check(text.as_bytes())
        .map_err(|excess| format!("the text of the workflow has more than {} {}", excess.limit(), excess.unit()))?;
    serde_json::from_str(text).map_err(|refused| no_graph(&format!("this text is no JSON: {refused}")))
}

fn kind_of(given: &Value) -> &'static str {
    match given {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text within a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn no_graph(found: &str) -> String {
    format!("a graph is needed, as ComfyUI's page saves it or as `/prompt` takes it; {found}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use serde_json::json;

    use super::*;

    #[test]
    fn every_wrapper_is_taken_off() {
        let page = json!({"nodes": [], "links": []});
        let api = json!({"1": {"class_type": "EmptyImage", "inputs": {}}});
        for graph in [page, api] {
            let forms = [
                graph.clone(),
                json!({"workflow": graph}),
                json!({"prompt": graph, "client_id": "x"}),
                json!({"workflow": {"prompt": graph}}),
                json!({"workflow": {}, "prompt": graph}),
                json!({"input": {"workflow": graph, "images": []}}),
                json!({"workflow": graph.to_string()}),
                json!(graph.to_string()),
            ];
            for form in forms {
                assert_eq!(graph_in(form.clone()).unwrap(), graph, "{form}");
            }
        }
    }

    #[test]
    fn what_is_no_graph_is_refused_with_what_it_is() {
        let endless = (0..10).fold(json!({"nodes": []}), |inner, _| json!({"workflow": inner}));
        for (given, says) in [
            (json!({}), "neither"),
            (json!({"a": 1}), "neither"),
            (json!({"workflow": {"a": 1}}), "neither"),
            (json!([]), "an array"),
            (json!("no json"), "no JSON"),
            (endless, "neither"),
        ] {
            let refused = graph_in(given.clone()).unwrap_err().to_string();
            assert!(refused.contains(says), "{given}: {refused}");
        }
    }
}
