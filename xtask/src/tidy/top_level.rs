//! Rule: the root of the repository stays a table of contents.

use std::fs;

use anyhow::{Context, Result};

use super::{Finding, Repository, Rule};

/// What stands in the root, and what git ignores there.
const ENTRIES: &[&str] = &[
    ".cargo",
    ".ci",
    ".git",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "crates",
    "docker",
    "docs",
    "migrations",
    "openapi",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "workspace",
    "xtask",
];

pub(super) const RULE: Rule = Rule {
    name: "top-level",
    reason: "a newcomer reads the root first: what stands there is what they must know, and nothing else",
    check: findings,
};

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for entry in fs::read_dir(repository.root).context("the root cannot be listed")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !ENTRIES.contains(&name.as_str()) {
            findings.push(Finding::new(name, "give it a place in docs, docker, xtask or a crate"));
        }
    }
    findings.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(findings)
}
