//! Rule: the downloader writes with plain files on threads.

use super::{Finding, Rule, SourceFile};

const BOUND: &str = "crates/downloader/src/";

pub(super) const RULE: Rule = Rule {
    name: "writes",
    reason: "tokio's File answers before the bytes are written and reports a failed write with the next call, or never; \
             what a journal promises must be on the disk",
    check: |repository| {
        Ok(repository.sources.iter().filter(|source| source.path.starts_with(BOUND)).flat_map(findings_in).collect())
    },
};

fn findings_in(source: &SourceFile) -> Vec<Finding> {
    let tokio_fs = ["tokio", ":", ":", "fs", ":", ":"];
    source
        .tokens
        .windows(tokio_fs.len() + 1)
        .enumerate()
        .filter(|(_, window)| window.iter().zip(tokio_fs).all(|(token, wanted)| token.text == wanted))
        .filter(|(start, _)| names_a_file(&source.tokens[start + tokio_fs.len()..]))
        .map(|(_, window)| Finding::new(source.at(&window[0]), "use std::fs::File on a thread or in spawn_blocking"))
        .collect()
}

/// `File`, `OpenOptions`, or a use list that holds one of them.
fn names_a_file(rest: &[super::source::Token]) -> bool {
    let listed = rest.first().is_some_and(|token| token.text == "{");
    let end = if listed { rest.iter().position(|token| token.text == "}").unwrap_or(rest.len()) } else { 1 };
    rest[..end.min(rest.len())].iter().any(|token| ["File", "OpenOptions"].contains(&token.text.as_str()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn tokios_file_is_found_in_a_path_and_in_a_use_list() {
        let text = "use tokio::fs::{self, File};\nfn f() { tokio::fs::File::open(p); tokio::fs::rename(a, b); }";
        let found = findings_in(&SourceFile::parse("crates/downloader/src/a.rs", text).unwrap());
        assert_eq!(found.len(), 2);
    }
}
