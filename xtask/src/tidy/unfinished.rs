//! Rule: nothing is left for later, and no test waits for the clock.

use super::{Finding, Rule, SourceFile};

pub(super) const RULE: Rule = Rule {
    name: "unfinished",
    reason: "an ignored test is no test, a sleeping test is slow and still fails by chance, an unfinished path panics at a user",
    check: |repository| Ok(repository.sources.iter().flat_map(findings_in).collect()),
};

fn findings_in(source: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in ["todo", "unimplemented"] {
        for found in source.occurrences(&[word, "!"]) {
            findings.push(Finding::new(source.at(&found[0]), format!("`{word}!`: write it, or leave it out")));
        }
    }
    for found in source.occurrences(&["#", "[", "ignore"]) {
        findings.push(Finding::new(
            source.at(&found[0]),
            "make it quick enough to run, or move it to `cargo xtask torture`",
        ));
    }
    for call in source.occurrences(&[":", ":", "sleep", "("]).chain(source.occurrences(&[";", "sleep", "("])) {
        if call[0].in_test {
            findings.push(Finding::new(source.at(&call[0]), "wait for the event itself, or make the clock an input"));
        }
    }
    findings
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let text =
            "fn f() { thread::sleep(d); }\n#[cfg(test)]\nmod tests { fn g() { thread::sleep(d); clock.sleep(d); } }";
        let found = findings_in(&SourceFile::parse("crates/a/src/a.rs", text).unwrap());
        assert_eq!(found.iter().map(|finding| finding.place.as_str()).collect::<Vec<_>>(), ["crates/a/src/a.rs:3"]);
        assert_eq!(findings_in(&SourceFile::parse("crates/a/tests/it/a.rs", text).unwrap()).len(), 2);
    }

    #[test]
    fn ignored_tests_and_unfinished_paths_are_found() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn f() { todo!() }\nfn g() { unimplemented!() }";
        assert_eq!(findings_in(&SourceFile::parse("a.rs", text).unwrap()).len(), 3);
    }
}
