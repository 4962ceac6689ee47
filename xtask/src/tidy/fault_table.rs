//! Rule: each row of the downloader's fault table names a test and a place in the code, and both are there.

use std::fs;

use anyhow::Context;

use super::{Finding, Rule, SourceFile};

const TABLE: &str = "docs/faults.md";

pub(super) const RULE: Rule = Rule {
    name: "fault-table",
    reason: "a promise about a fault is worth what its test shows: a row whose test or code has gone promises nothing",
    check: |repository| {
        let table =
            fs::read_to_string(repository.root.join(TABLE)).with_context(|| format!("{TABLE} cannot be read"))?;
        Ok(findings_in(&table, &repository.sources))
    },
};

/// The places where a promise may be tested: the engine, and what tortures it.
const TESTED_IN: &[&str] = &["crates/downloader/", "xtask/src/torture/", "xtask/src/tidy/"];

fn findings_in(table: &str, sources: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rows = 0;
    for (number, line) in table.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let place = format!("{TABLE}:{}", number + 1);
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [_, _, tests, code] = cells.as_slice() else {
            rows += 1;
            findings.push(Finding::new(place, "a row has four cells: fault, outcome, tests, code"));
            continue;
        };
        if is_head(tests) {
            continue;
        }
        rows += 1;
        let missing =
            words(tests).filter(|test| !is_test(test, sources)).map(|test| format!("there is no test `{test}`"));
        let gone = words(code).filter(|file| !is_code(file, sources)).map(|file| format!("there is no file `{file}`"));
        findings.extend(missing.chain(gone).map(|advice| Finding::new(place.clone(), advice)));
        if words(tests).next().is_none() || words(code).next().is_none() {
            findings
                .push(Finding::new(place, "name the test that shows it, as `file::name`, and the file that does it"));
        }
    }
    if rows == 0 {
        findings.push(Finding::new(TABLE, "there is no row: the table has another form"));
    }
    findings
}

/// The head of a table and the line below it.
fn is_head(cell: &str) -> bool {
    cell.trim() == "shown by" || cell.trim().starts_with("---")
}

/// Everything between backticks.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// `file::name`: a function of that name in a file of that name.
fn is_test(word: &str, sources: &[SourceFile]) -> bool {
    let Some((file, name)) = word.split_once("::") else { return false };
    let file = format!("/{file}.rs");
    sources.iter().any(|source| {
        source.path.ends_with(&file)
            && TESTED_IN.iter().any(|folder| source.path.starts_with(folder))
            && source.occurrences(&["fn", name]).next().is_some()
    })
}

fn is_code(word: &str, sources: &[SourceFile]) -> bool {
    sources.iter().any(|source| source.path == format!("crates/downloader/src/{word}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_its_test_or_its_code_is_found() {
        let sources = [
            SourceFile::parse("crates/downloader/tests/it/cuts.rs", "fn a_cut_resumes() {}").unwrap(),
            SourceFile::parse("crates/downloader/src/fetch.rs", "fn fetch() {}").unwrap(),
        ];
        let head = "| fault | outcome | shown by | done in |\n|---|---|---|---|\n";
        let of = |row: &str| findings_in(&format!("{head}{row}\n"), &sources).len();
        assert_eq!(of("| a cut | resumed | `cuts::a_cut_resumes` | `fetch.rs` |"), 0);
        assert_eq!(of("| a cut | resumed | `cuts::a_cut_is_gone` | `fetch.rs` |"), 1);
        assert_eq!(of("| a cut | resumed | `cuts::a_cut_resumes` | `gone.rs` |"), 1);
        assert_eq!(of("| a cut | resumed | by hand | `fetch.rs` |"), 1);
        assert_eq!(of("| a cut | resumed | `cuts::a_cut_resumes` |"), 1);
        assert_eq!(findings_in(head, &sources).len(), 1, "a table without rows");
    }
}
