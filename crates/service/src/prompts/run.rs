//! How far a prompt of ours is, as told by the socket: which nodes are done, what the present one counts, what came out.
//! Pure; it forgets with the prompt.

use std::collections::{BTreeMap, BTreeSet};

use comfy_client::{NodeFailure, ObjectInfo};
use serde_json::{Map, Value};

/// How a prompt ended, as the socket said; the history says more, if ComfyUI lives to tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ToldEnd {
    Completed,
    Failed(NodeFailure),
    Interrupted,
}

/// A prompt that ComfyUI has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    nodes: BTreeMap<String, (Option<String>, String)>,
    needed: BTreeSet<String>,
    done: BTreeSet<String>,
    current: Option<String>,
    value: f64,
    max: f64,
    /// What nodes returned and was told of.
    pub(crate) outputs: Map<String, Value>,
    /// How it ended, if that was told.
    pub(crate) end: Option<ToldEnd>,
}

/// The present node of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) node: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) node_type: Option<String>,
    pub(crate) value: f64,
    pub(crate) max: f64,
    /// The share of the whole graph, 0 to 100.
    pub(crate) overall: f64,
}

impl Run {
    /// A graph about to run, or only these outputs of it. Without `object_info` every node that nothing is linked to counts as
    /// an output.
    pub(crate) fn new(
        graph: &Map<String, Value>,
        targets: Option<&[String]>,
        object_info: Option<&ObjectInfo>,
    ) -> Self {
        let about = |node: &Value| {
            let title = node.pointer("/_meta/title").and_then(Value::as_str).map(str::to_owned);
            (title, node["class_type"].as_str().unwrap_or_default().to_owned())
        };
        let nodes = graph.iter().map(|(id, node)| (id.clone(), about(node))).collect();
        Self { nodes, needed: needed(graph, targets, object_info), ..Self::default() }
    }

    /// Results of these nodes are at hand.
    pub(crate) fn cached(&mut self, nodes: &[String]) {
        self.done.extend(nodes.iter().filter(|node| self.needed.contains(*node)).cloned());
    }

    /// A node begins.
    pub(crate) fn executing(&mut self, node: &str) {
        if self.current.as_deref() != Some(node) {
            self.finish_current();
            (self.current, self.value, self.max) = (Some(node.to_owned()), 0.0, 1.0);
        }
    }

    /// The present node counts. `false` where nothing new is said.
    pub(crate) fn counts(&mut self, node: Option<&str>, value: f64, max: f64) -> bool {
        if let Some(node) = node {
            self.executing(node);
        }
        let is_news = self.value != value || self.max != max;
        (self.value, self.max) = (value, max);
        is_news
    }

    /// A node is done.
    pub(crate) fn finished(&mut self, node: &str) {
        if self.needed.contains(node) {
            self.done.insert(node.to_owned());
        }
    }

    /// Everything that can be said of the present step.
    pub(crate) fn step(&self) -> Step {
        let about = self.current.as_ref().and_then(|node| self.nodes.get(node));
        Step {
            node: self.current.clone(),
            title: about.and_then(|(title, _)| title.clone()),
            node_type: about.map(|(_, node_type)| node_type.clone()),
            value: self.value,
            max: if self.max > 0.0 { self.max } else { 1.0 },
            overall: self.overall(),
        }
    }

    /// As `step`, of a node that is not the present one.
    pub(crate) fn step_at(&self, node: &str) -> Step {
        let about = self.nodes.get(node);
        Step {
            node: Some(node.to_owned()),
            title: about.and_then(|(title, _)| title.clone()),
            node_type: about.map(|(_, node_type)| node_type.clone()),
            value: 1.0,
            max: 1.0,
            overall: self.overall(),
        }
    }

    /// 100 only at the end, which is told elsewhere.
    #[expect(clippy::cast_precision_loss, reason = "a graph has some hundred nodes")]
    fn overall(&self) -> f64 {
        let counting =
            self.current.as_ref().is_some_and(|node| self.needed.contains(node) && !self.done.contains(node));
        let part = if counting && self.max > 0.0 { (self.value / self.max).clamp(0.0, 1.0) } else { 0.0 };
        let share = (self.done.len() as f64 + part) / self.needed.len().max(1) as f64 * 100.0;
        share.min(99.9)
    }

    fn finish_current(&mut self) {
        if let Some(node) = self.current.take() {
            self.finished(&node);
        }
    }
}

/// The nodes that the outputs of a graph need, outputs included.
fn needed(
    graph: &Map<String, Value>,
    targets: Option<&[String]>,
    object_info: Option<&ObjectInfo>,
) -> BTreeSet<String> {
    let links = |node: &Value| -> Vec<String> {
        let inputs = node["inputs"].as_object().into_iter().flatten();
        inputs.filter_map(|(_, value)| Some(value.as_array()?.first()?.as_str()?.to_owned())).collect()
    };
    let linked: BTreeSet<String> = graph.values().flat_map(links).collect();
    let is_output = |id: &str, node: &Value| match (object_info, node["class_type"].as_str()) {
        (Some(known), Some(class_type)) => known.get(class_type).is_some_and(|node_type| node_type.output_node),
        _ => !linked.contains(id),
    };
    let is_wanted = |id: &String| targets.is_none_or(|targets| targets.contains(id));
    let mut found = BTreeSet::new();
    let outputs = graph.iter().filter(|(id, node)| is_wanted(id) && is_output(id, node));
    let mut waiting: Vec<String> = outputs.map(|(id, _)| id.clone()).collect();
    while let Some(id) = waiting.pop() {
        let Some(node) = graph.get(&id) else { continue };
        if found.insert(id) {
            waiting.extend(links(node));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use serde_json::json;

    use super::*;

    fn run() -> Run {
        let graph = json!({
            "1": {"class_type": "Load", "inputs": {}},
            "2": {"class_type": "Sample", "inputs": {"from": ["1", 0]}, "_meta": {"title": "The sampler"}},
            "3": {"class_type": "Save", "inputs": {"from": ["2", 0]}},
            "4": {"class_type": "Save", "inputs": {"from": ["2", 0]}},
        });
        Run::new(graph.as_object().unwrap(), None, None)
    }

    #[test]
    fn the_share_grows_with_nodes_that_are_done_and_with_what_the_present_one_counts() {
        let mut run = run();
        assert_eq!(run.step().overall, 0.0);
        run.cached(&["1".to_owned()]);
        run.executing("2");
        assert_eq!((run.step().overall, run.step().value, run.step().max), (25.0, 0.0, 1.0));
        assert!(run.counts(Some("2"), 10.0, 20.0));
        assert!(!run.counts(Some("2"), 10.0, 20.0));
        assert_eq!((run.step().overall, run.step().title), (37.5, Some("The sampler".to_owned())));
        run.executing("3");
        assert_eq!(run.step().overall, 50.0);
        run.executing("4");
        run.counts(None, 1.0, 1.0);
        assert_eq!(run.step().overall, 99.9);
    }

    #[test]
    fn a_node_made_while_running_shows_but_does_not_count() {
        let mut run = run();
        run.executing("2.0.1");
        run.counts(Some("2.0.1"), 1.0, 2.0);
        assert_eq!(run.step().overall, 0.0);
        assert_eq!(run.step().node.as_deref(), Some("2.0.1"));
    }
}
