//! Rule: everything that is compiled in may be given away under our licence.

use anyhow::{Context, Result};
use spdx::Expression;

use super::{Finding, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "licences",
    reason: "the binary is handed out under MIT: every dependency must allow that without conditions on our own code",
    check: findings,
};

/// Permissive licences, by SPDX name. MPL-2.0 is not among them: it asks something of whoever changes a file.
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

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in &repository.metadata.packages {
        let place = format!("{} {}", package.name, package.version);
        let advice = match &package.license {
            None => Some("names no licence".to_owned()),
            Some(licence) if accepts(licence).with_context(|| place.clone())? => None,
            Some(licence) => Some(format!("`{licence}` is not on the list of accepted licences: find another crate")),
        };
        findings.extend(advice.map(|advice| Finding::new(place, advice)));
    }
    Ok(findings)
}

/// Whether one of the choices that the expression offers is on the list. Older manifests write `/` for `OR`.
fn accepts(licence: &str) -> Result<bool> {
    let expression = Expression::parse(&licence.replace('/', " OR "))?;
    Ok(expression.evaluate(|wanted| wanted.license.id().is_some_and(|id| ACCEPTED.contains(&id.name))))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn one_accepted_choice_is_enough_and_every_part_of_an_and_is_needed() {
        assert!(accepts("GPL-3.0-only OR MIT").unwrap());
        assert!(accepts("MIT/Apache-2.0").unwrap());
        assert!(accepts("(MIT OR Apache-2.0) AND Unicode-3.0").unwrap());
        assert!(!accepts("MIT AND GPL-3.0-only").unwrap());
        assert!(!accepts("AGPL-3.0-or-later").unwrap());
    }
}
