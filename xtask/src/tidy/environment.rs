//! Rule: one place reads the environment.

use super::{Finding, Rule, SourceFile};

/// The list of settings, and its parts.
const READER: &str = "crates/api/src/config";

pub(super) const RULE: Rule = Rule {
    name: "environment",
    reason: "settings are inputs: what the environment may change stands in one list, api::config, where a user can find it",
    check: |repository| Ok(repository.sources.iter().filter(|source| is_bound(source)).flat_map(findings_in).collect()),
};

/// Build scripts are told by cargo through variables; tests, simulations, the fuzzer and xtask are no part of the product.
fn is_bound(source: &SourceFile) -> bool {
    source.path.starts_with("crates/")
        && source.path.contains("/src/")
        && !source.path.starts_with("crates/test-support/")
        && !source.path.starts_with("crates/fuzz-targets/")
        && !source.path.contains("/simulation/")
        && !source.path.starts_with(READER)
}

fn findings_in(source: &SourceFile) -> Vec<Finding> {
    ["var", "var_os", "vars", "vars_os"]
        .into_iter()
        .flat_map(|function| {
            source
                .occurrences(&["env", ":", ":", function])
                .filter(|found| !found[0].in_test)
                .map(|found| Finding::new(source.at(&found[0]), "take it as an argument; `api::config` reads it"))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_read_outside_the_settings_is_found() {
        let file = |path| SourceFile::parse(path, "fn f() { std::env::var(\"A\"); env!(\"B\"); }").unwrap();
        assert_eq!(findings_in(&file("crates/service/src/host.rs")).len(), 1);
        assert!(is_bound(&file("crates/service/src/host.rs")));
        assert!(!is_bound(&file("crates/api/src/config.rs")));
        assert!(!is_bound(&file("crates/service/build.rs")));
    }
}
