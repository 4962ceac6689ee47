//! Rule: a long file has a reason. Cohesion decides the size of a file; past 600 lines it usually has two owners.

use super::{Finding, Repository, Rule, SourceFile};

const MOST_LINES: usize = 600;

pub(super) const RULE: Rule = Rule {
    name: "file-sizes",
    reason: "a file over 600 lines usually has two owners; cohesion decides below that",
    check: |repository| Ok(findings(repository)),
};

fn findings(repository: &Repository) -> Vec<Finding> {
    repository.sources.iter().filter_map(finding).collect()
}

fn finding(source: &SourceFile) -> Option<Finding> {
    let lines = source.text.lines().count();
    (lines > MOST_LINES).then(|| Finding::new(&source.path, format!("{lines} lines: split it between its owners")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn reports_the_first_line_over_the_limit() {
        let file = |lines: usize| SourceFile::parse("a.css", &"\n".repeat(lines)).unwrap();
        assert!(finding(&file(600)).is_none());
        assert!(finding(&file(601)).is_some());
    }
}
