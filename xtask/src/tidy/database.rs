//! Rule: all SQL is in the database and the stores.

use super::{Finding, Rule, SourceFile};

/// The database, the error that keeps a failed query as its source, the script that gives queries a schema to be checked
/// against, and the tests of all that.
const OWNERS: &[&str] = &[
    "crates/service/src/database/",
    "crates/service/src/error.rs",
    "crates/service/build.rs",
    "crates/service/tests/",
];

/// Below these, each resource has its SQL in a file or folder of this name.
const SERVICE: &str = "crates/service/src/";
const STORES: [&str; 2] = ["/store.rs", "/store/"];

pub(super) const RULE: Rule = Rule {
    name: "database",
    reason: "nobody else opens the database: a schema can change only where every query that uses it is in sight",
    check: |repository| Ok(repository.sources.iter().filter(|source| is_bound(source)).flat_map(findings_in).collect()),
};

fn is_bound(source: &SourceFile) -> bool {
    let is_store = source.path.starts_with(SERVICE) && STORES.iter().any(|store| source.path.contains(store));
    !is_store && !OWNERS.iter().any(|owner| source.path.starts_with(owner))
}

fn findings_in(source: &SourceFile) -> Vec<Finding> {
    let paths = source.occurrences(&["sqlx", ":", ":"]);
    let bare = ["query", "query_as", "query_scalar", "query_file"].map(|name| [name, "!"]);
    let bare = bare.iter().flat_map(|sequence| source.occurrences(sequence));
    paths
        .chain(bare)
        .map(|found| {
            Finding::new(source.at(&found[0]), "ask the `store` of the resource by a method named after what is wanted")
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_query_outside_the_store_is_found() {
        let file = |path| SourceFile::parse(path, "fn f() { sqlx::query(\"x\"); query!(\"y\"); }").unwrap();
        assert_eq!(findings_in(&file("crates/service/src/models.rs")).len(), 2);
        assert!(!is_bound(&file("crates/service/src/presets/store.rs")));
        assert!(!is_bound(&file("crates/service/src/downloads/store/rows.rs")));
        assert!(is_bound(&file("crates/api/src/main.rs")));
    }
}
