//! One thing that is wrong with a workflow, by node and input, in words that a person can act on.

use std::fmt;

/// One thing that is wrong with one node, or with the workflow as a whole where `node` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Id of the node, as in the prompt: `5`, or `5:12` inside a subgraph.
    pub node: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// The input that is wrong, where it is one.
    pub input: Option<String>,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Fault {
    pub(crate) fn of_workflow(problem: String) -> Self {
        Self { node: None, node_type: None, input: None, problem }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, &self.node_type) {
            (Some(node), Some(node_type)) => write!(to, "node {node} ({node_type})")?,
            (Some(node), None) => write!(to, "node {node}")?,
            _ => write!(to, "workflow")?,
        }
        if let Some(input) = &self.input {
            write!(to, ", input {input}")?;
        }
        write!(to, ": {}", self.problem)
    }
}
