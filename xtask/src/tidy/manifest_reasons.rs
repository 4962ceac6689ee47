//! Rule: every dependency in the root manifest says why it is there.

use std::fs;

use anyhow::{Context, Result};

use super::{Finding, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "manifest-reasons",
    reason: "a dependency is a decision: the next person must see why it was taken before taking another",
    check: findings,
};

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    let manifest = fs::read_to_string(repository.root.join("Cargo.toml")).context("Cargo.toml cannot be read")?;
    Ok(without_reason(&manifest)
        .map(|(line, name)| {
            Finding::new(format!("Cargo.toml:{line}"), format!("say why `{name}` is here, or put it under a heading"))
        })
        .collect())
}

/// Lines of `[workspace.dependencies]` that neither end in a comment nor stand in a paragraph that begins with one.
fn without_reason(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    let mut under_heading = false;
    manifest.lines().enumerate().filter_map(move |(index, line)| {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        }
        if line.is_empty() {
            under_heading = false;
        } else if line.starts_with('#') {
            under_heading = true;
        } else if inside && !under_heading && !line.contains(" # ") {
            return line.split_once('=').map(|(name, _)| (index + 1, name.trim()));
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_a_comment_or_a_heading() {
        let manifest =
            "[workspace.dependencies]\n# Data.\na = \"1\"\n\nb = \"1\" # why\nc = \"1\"\n\n[profile.dev]\nd = 1\n";
        assert_eq!(without_reason(manifest).collect::<Vec<_>>(), [(6, "c")]);
    }
}
