//! Rule: everything that is compiled in may be given away under our licence.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, Node, PackageId};
use spdx::Expression;

use super::{Finding, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "licences",
    reason: "the binary is handed out under MIT: every dependency must allow that without conditions on our own code",
    check: findings,
};

/// The crate that becomes the binary.
const PRODUCT: &str = "api";

/// Permissive licences, by SPDX name.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Accepted beside them where a crate only tests us and is given to nobody: it asks something of whoever passes it on.
const ACCEPTED_IN_TESTS: &[&str] = &["MPL-2.0", "NCSA"];

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    let shipped = shipped(repository.metadata)?;
    let mut findings = Vec::new();
    for package in &repository.metadata.packages {
        let place = format!("{} {}", package.name, package.version);
        let is_shipped = shipped.contains(&package.id);
        let advice = match &package.license {
            None => Some("names no licence".to_owned()),
            Some(licence) if accepts(licence, is_shipped).with_context(|| place.clone())? => None,
            Some(licence) => Some(format!("`{licence}` is not on the list of accepted licences: find another crate")),
        };
        findings.extend(advice.map(|advice| Finding::new(place, advice)));
    }
    Ok(findings)
}

/// Every package that is part of the binary or makes it, on whatever platform: what the product reaches without its tests.
fn shipped(metadata: &Metadata) -> Result<BTreeSet<PackageId>> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata resolved no dependencies")?;
    let nodes: HashMap<&PackageId, &Node> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let product = metadata.workspace_packages().into_iter().find(|package| package.name == PRODUCT);
    let mut waiting = vec![product.context("the workspace has no package `api`")?.id.clone()];
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        let node = nodes.get(&id).with_context(|| format!("{id} is not resolved"))?;
        if reached.insert(id) {
            let in_product = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            waiting.extend(in_product.map(|dependency| dependency.pkg.clone()));
        }
    }
    Ok(reached)
}

/// Whether one of the choices that the expression offers is on the list. Older manifests write `/` for `OR`.
fn accepts(licence: &str, is_shipped: bool) -> Result<bool> {
    let expression = Expression::parse(&licence.replace('/', " OR "))?;
    Ok(expression.evaluate(|wanted| {
        let name = wanted.license.id().map(|id| id.name);
        name.is_some_and(|name| ACCEPTED.contains(&name) || (!is_shipped && ACCEPTED_IN_TESTS.contains(&name)))
    }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn one_accepted_choice_is_enough_and_every_part_of_an_and_is_needed() {
        assert!(accepts("GPL-3.0-only OR MIT", true).unwrap());
        assert!(accepts("MIT/Apache-2.0", true).unwrap());
        assert!(accepts("(MIT OR Apache-2.0) AND Unicode-3.0", true).unwrap());
        assert!(!accepts("MIT AND GPL-3.0-only", true).unwrap());
        assert!(!accepts("AGPL-3.0-or-later", false).unwrap());
    }

    #[test]
    fn what_only_tests_us_may_ask_more() {
        assert!(accepts("MPL-2.0", false).unwrap());
        assert!(!accepts("MPL-2.0", true).unwrap());
    }
}
