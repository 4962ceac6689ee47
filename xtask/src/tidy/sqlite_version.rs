//! Rule: the SQLite that is compiled in does not lose data.

use anyhow::Result;
use cargo_metadata::semver::Version;

use super::{Finding, Repository, Rule};

const FIRST_SAFE: Version = Version::new(0, 37, 0);

pub(super) const RULE: Rule = Rule {
    name: "sqlite-version",
    reason: "SQLite before 3.51.3 can corrupt a WAL database; libsqlite3-sys bundles a later one from 0.37 on",
    check: findings,
};

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    Ok(repository
        .metadata
        .packages
        .iter()
        .filter(|package| package.name == "libsqlite3-sys" && package.version < FIRST_SAFE)
        .map(|package| {
            let advice = format!("{} is too old: `cargo update -p libsqlite3-sys`", package.version);
            Finding::new("Cargo.lock", advice)
        })
        .collect())
}
