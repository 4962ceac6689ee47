//! What `/prompt` checks before it takes a graph, and in which words it refuses. Knows node types, not the queue.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What became of the check.
pub(super) enum Verdict {
    /// These outputs run; errors of others beside them.
    Runs { outputs: Vec<String>, node_errors: Value },
    /// Nothing runs.
    Refused { error: Value, node_errors: Value },
}

/// Checks a graph.
pub(super) fn check(prompt: &Value, targets: Option<&[Value]>, object_info: &Value) -> Verdict {
    let nodes = prompt.as_object().cloned().unwrap_or_default();
    let mut outputs = Vec::new();
    for (id, node) in &nodes {
        let Some(class) = node.get("class_type").and_then(Value::as_str) else {
            return invalid("Cannot execute because a node is missing the class_type property.", id);
        };
        let Some(known) = object_info.get(class) else {
            return invalid(&format!("Cannot execute because node {class} does not exist."), id);
        };
        if known["output_node"] == true && targets.is_none_or(|targets| targets.contains(&json!(id))) {
            outputs.push(id.clone());
        }
    }
    if outputs.is_empty() {
        return Verdict::Refused {
            error: error("prompt_no_outputs", "Prompt has no outputs", ""),
            node_errors: json!({}),
        };
    }
    let mut node_errors = Map::new();
    let mut good = Vec::new();
    for output in outputs {
        let reached = reached_from(&output, &nodes);
        let mut well = true;
        for id in &reached {
            let errors = errors_of(&nodes[id], &nodes, object_info);
            if errors.is_empty() {
                continue;
            }
            well = false;
            let class = &nodes[id]["class_type"];
            let entry = node_errors.entry(id.clone());
            let entry =
                entry.or_insert_with(|| json!({"errors": errors, "dependent_outputs": [], "class_type": class}));
            if let Some(dependent) = entry["dependent_outputs"].as_array_mut() {
                dependent.push(json!(output));
            }
        }
        if well {
            good.push(output);
        }
    }
    let node_errors = Value::Object(node_errors);
    if good.is_empty() {
        let error = error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "");
        return Verdict::Refused { error, node_errors };
    }
    Verdict::Runs { outputs: good, node_errors }
}

fn invalid(message: &str, id: &str) -> Verdict {
    Verdict::Refused { error: error("invalid_prompt", message, &format!("Node ID '#{id}'")), node_errors: json!({}) }
}

/// The error object of an answer.
pub(super) fn error(kind: &str, message: &str, details: &str) -> Value {
    json!({"type": kind, "message": message, "details": details, "extra_info": {}})
}

fn link_of(value: &Value) -> Option<(&str, usize)> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(id), slot]) => Some((id, usize::try_from(slot.as_u64()?).ok()?)),
        _ => None,
    }
}

/// The nodes that an output needs, itself included.
pub(super) fn reached_from(output: &str, nodes: &Map<String, Value>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![output.to_owned()];
    while let Some(id) = waiting.pop() {
        let Some(node) = nodes.get(&id) else { continue };
        if reached.insert(id) {
            let inputs = node["inputs"].as_object().into_iter().flatten();
            waiting.extend(inputs.filter_map(|(_, value)| Some(link_of(value)?.0.to_owned())));
        }
    }
    reached
}

fn errors_of(node: &Value, nodes: &Map<String, Value>, object_info: &Value) -> Vec<Value> {
    let known = &object_info[node["class_type"].as_str().unwrap_or_default()]["input"];
    let mut errors = Vec::new();
    for (section, required) in [("required", true), ("optional", false)] {
        for (name, spec) in known[section].as_object().into_iter().flatten() {
            match node["inputs"].get(name) {
                None if required => {
                    let extra = json!({"input_name": name});
                    errors.push(problem("required_input_missing", "Required input is missing", name, extra));
                }
                None => {}
                Some(value) => errors.extend(error_of_value(name, value, spec, nodes, object_info)),
            }
        }
    }
    errors
}

fn error_of_value(
    name: &str,
    value: &Value,
    spec: &Value,
    nodes: &Map<String, Value>,
    object_info: &Value,
) -> Option<Value> {
    let kind = spec[0].as_str().unwrap_or("COMBO");
    if let Some((origin, slot)) = link_of(value) {
        let class = nodes.get(origin)?["class_type"].as_str()?;
        let given = object_info[class]["output"][slot].as_str().unwrap_or("COMBO");
        let fits = given == kind || given == "*" || kind == "*" || kind.split(',').any(|kind| kind == given);
        let details = format!("{name}, received_type({given}) mismatch input_type({kind})");
        let extra = json!({"input_name": name, "input_config": spec, "received_type": given, "linked_node": value});
        return (!fits)
            .then(|| problem("return_type_mismatch", "Return type mismatch between linked nodes", &details, extra));
    }
    let choices = spec[0].as_array().or_else(|| spec[1]["options"].as_array().filter(|_| kind == "COMBO"));
    if let Some(choices) = choices.filter(|choices| !choices.contains(value)) {
        let shown = choices.iter().map(python).collect::<Vec<_>>().join(", ");
        let details = format!("{name}: {} not in [{shown}]", python(value));
        let extra = json!({"input_name": name, "input_config": spec, "received_value": value});
        return Some(problem("value_not_in_list", "Value not in list", &details, extra));
    }
    let (number, least, most) = (value.as_f64()?, spec[1]["min"].as_f64(), spec[1]["max"].as_f64());
    let extra = json!({"input_name": name, "input_config": spec, "received_value": value});
    if let Some(least) = least.filter(|least| number < *least) {
        let message = format!("Value {value} smaller than min of {least}");
        return Some(problem("value_smaller_than_min", &message, name, extra));
    }
    let most = most.filter(|most| number > *most)?;
    Some(problem("value_bigger_than_max", &format!("Value {value} bigger than max of {most}"), name, extra))
}

fn problem(kind: &str, message: &str, details: &str, extra: Value) -> Value {
    json!({"type": kind, "message": message, "details": details, "extra_info": extra})
}

fn python(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"))
}
