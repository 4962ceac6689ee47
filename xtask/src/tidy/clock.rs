//! Rule: one place reads the wall clock.

use super::{Finding, Rule, SourceFile};

/// The clock that everything else is given.
const READER: &str = "crates/service/src/clock.rs";

pub(super) const RULE: Rule = Rule {
    name: "clock",
    reason: "time is an input: code that asks the wall clock itself can only be tested by waiting",
    check: |repository| Ok(repository.sources.iter().filter(|source| is_bound(source)).flat_map(findings_in).collect()),
};

fn is_bound(source: &SourceFile) -> bool {
    source.path.starts_with("crates/")
        && source.path.contains("/src/")
        && !source.path.starts_with("crates/test-support/")
        && source.path != READER
}

fn findings_in(source: &SourceFile) -> Vec<Finding> {
    ["SystemTime", "Timestamp", "Zoned"]
        .into_iter()
        .flat_map(|clock| {
            source
                .occurrences(&[clock, ":", ":", "now"])
                .filter(|found| !found[0].in_test)
                .map(|found| {
                    Finding::new(source.at(&found[0]), "take the time as an argument; `service::clock` reads it")
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_found_and_the_stopwatch_is_not() {
        let text = "fn f() { SystemTime::now(); jiff::Timestamp::now(); Instant::now(); }";
        assert_eq!(findings_in(&SourceFile::parse("crates/api/src/error.rs", text).unwrap()).len(), 2);
    }
}
