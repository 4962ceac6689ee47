//! Rule: no file is longer than a reader can hold.

use super::{Finding, Repository, Rule, SourceFile};

const MOST_LINES: usize = 350;

pub(super) const RULE: Rule = Rule {
    name: "file-sizes",
    reason: "a file that grows past 350 lines has two owners; it reads well near 120",
    check: |repository| Ok(findings(repository)),
};

fn findings(repository: &Repository) -> Vec<Finding> {
    repository.sources.iter().filter_map(finding).collect()
}

fn finding(source: &SourceFile) -> Option<Finding> {
    let lines = source.text.lines().count();
    (lines > MOST_LINES).then(|| Finding::new(&source.path, format!("{lines} lines: split it where its owners part")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_too_many_is_found() {
        let file = |lines: usize| SourceFile::parse("a.css", &"\n".repeat(lines)).unwrap();
        assert!(finding(&file(350)).is_none());
        assert!(finding(&file(351)).is_some());
    }
}
