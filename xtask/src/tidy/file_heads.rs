//! Rule: every Rust file says first what it owns.

use super::{Finding, Repository, Rule, SourceFile};

pub(super) const RULE: Rule = Rule {
    name: "file-heads",
    reason: "a stranger who opens a file must learn at once what it owns and what it must not know",
    check: |repository| Ok(findings(repository)),
};

fn findings(repository: &Repository) -> Vec<Finding> {
    repository.sources.iter().filter_map(finding).collect()
}

fn finding(source: &SourceFile) -> Option<Finding> {
    let headless = source.is_rust() && !source.text.starts_with("//! ");
    headless.then(|| Finding::new(&source.path, "begin with `//!`: what it owns, what it must not know"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_head_is_found() {
        assert!(finding(&SourceFile::parse("a.rs", "fn f() {}").unwrap()).is_some());
        assert!(finding(&SourceFile::parse("a.rs", "//! Owns f.\nfn f() {}").unwrap()).is_none());
        assert!(finding(&SourceFile::parse("a.css", "p {}").unwrap()).is_none());
    }
}
