//! The rules of the repository that the compiler cannot know. One file a rule; each says why it exists. This file owns the list and
//! the report, and must not know what any rule looks for.

mod clock;
mod database;
mod engine_rooms;
mod environment;
mod fault_table;
mod file_heads;
mod file_sizes;
mod function_sizes;
mod layers;
mod licences;
mod manifest_reasons;
pub(crate) mod migrations;
mod source;
mod sqlite_version;
mod top_level;
mod unfinished;
mod writes;

use anyhow::{Result, bail};
use cargo_metadata::Metadata;
use source::SourceFile;

use crate::workspace::Workspace;

/// Every rule, in the order of the report.
const RULES: &[Rule] = &[
    layers::RULE,
    engine_rooms::RULE,
    database::RULE,
    environment::RULE,
    clock::RULE,
    writes::RULE,
    fault_table::RULE,
    file_heads::RULE,
    file_sizes::RULE,
    function_sizes::RULE,
    unfinished::RULE,
    migrations::RULE,
    sqlite_version::RULE,
    licences::RULE,
    manifest_reasons::RULE,
    top_level::RULE,
];

/// A rule: what it is called, why it exists, how it is checked.
struct Rule {
    name: &'static str,
    reason: &'static str,
    check: fn(&Repository) -> Result<Vec<Finding>>,
}

/// One place that breaks a rule, and what to do about it.
#[derive(Debug, PartialEq)]
struct Finding {
    place: String,
    advice: String,
}

impl Finding {
    fn new(place: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { place: place.into(), advice: advice.into() }
    }
}

/// What the rules look at, read once.
struct Repository<'a> {
    root: &'a std::path::Path,
    metadata: &'a Metadata,
    sources: Vec<SourceFile>,
}

/// Checks every rule and prints what is broken, each with the reason of its rule.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let repository = Repository {
        root: &workspace.root,
        metadata: &workspace.metadata,
        sources: source::read_all(&workspace.root)?,
    };
    let mut count = 0;
    for rule in RULES {
        let findings = (rule.check)(&repository)?;
        if findings.is_empty() {
            continue;
        }
        count += findings.len();
        println!("\n{}: {}", rule.name, rule.reason);
        for finding in findings {
            println!("  {}: {}", finding.place, finding.advice);
        }
    }
    if count > 0 {
        bail!("tidy found {count} places to put right");
    }
    println!("tidy: {} rules over {} files, nothing to put right", RULES.len(), repository.sources.len());
    Ok(())
}
