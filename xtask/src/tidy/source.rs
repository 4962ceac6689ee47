//! The source files as the rules see them: text, and tokens without comments. Knows no rule.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A file of ours: Rust, or a plain file of the page.
pub(super) struct SourceFile {
    /// From the root, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// Empty for files that are not Rust.
    pub(super) tokens: Vec<Token>,
}

/// One word, sign, literal or bracket of a Rust file.
pub(super) struct Token {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// Inside a `#[cfg(test)]` module, or anywhere in a `tests` folder.
    pub(super) in_test: bool,
}

impl SourceFile {
    /// Reads the tokens of one file from its text.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        if is_rust(path) {
            let stream: TokenStream = text.parse().map_err(|error| anyhow!("{path} is not Rust: {error}"))?;
            flatten(stream, path.split('/').any(|part| part == "tests"), &mut tokens);
        }
        Ok(Self { path: path.to_owned(), text: text.to_owned(), tokens })
    }

    pub(super) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Every place where these tokens follow one another. `::` is two tokens: `["tokio", ":", ":", "fs"]`.
    pub(super) fn occurrences<'a>(&'a self, sequence: &'a [&str]) -> impl Iterator<Item = &'a [Token]> {
        self.tokens
            .windows(sequence.len())
            .filter(move |window| window.iter().zip(sequence).all(|(token, wanted)| token.text == *wanted))
    }

    /// `path:line`, as terminals make it a link.
    pub(super) fn at(&self, token: &Token) -> String {
        format!("{}:{}", self.path, token.line)
    }
}

/// Every file under `crates` and `xtask` that a person wrote: Rust, and the page.
pub(super) fn read_all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut paths)?;
    }
    paths.sort();
    let mut sources = Vec::with_capacity(paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
        sources.push(SourceFile::parse(&relative, &text)?);
    }
    Ok(sources)
}

fn collect(folder: &Path, paths: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|end| ["rs", "js", "css", "html"].iter().any(|known| end == *known)) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// Brackets become tokens of their own, so that a rule can look for a sequence across them.
fn flatten(stream: TokenStream, in_test: bool, tokens: &mut Vec<Token>) {
    let mut test_item_follows = false;
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                test_item_follows |= is_cfg_test(&group);
                let body = group.delimiter() == Delimiter::Brace;
                let (open, close) = brackets(&group);
                let inside_test = in_test || (body && test_item_follows);
                test_item_follows &= !body;
                tokens.push(Token { text: open.to_owned(), line, in_test });
                flatten(group.stream(), inside_test, tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line, in_test });
            }
            other => {
                let text = other.to_string();
                test_item_follows &= text != ";";
                tokens.push(Token { text, line, in_test });
            }
        }
    }
}

fn is_cfg_test(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn brackets(group: &Group) -> (&'static str, &'static str) {
    match group.delimiter() {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let file = SourceFile::parse("a.rs", "// sleep(1)\nfn f() { let s = \"sleep(1)\"; sleep(1) }").unwrap();
        let lines: Vec<_> = file.occurrences(&["sleep", "("]).map(|found| found[0].line).collect();
        assert_eq!(lines, [2]);
    }

    #[test]
    fn a_test_module_is_told_from_the_code_around_it() {
        let file =
            SourceFile::parse("a.rs", "#[cfg(test)]\nuse x;\nfn f() { a }\n#[cfg(test)]\nmod tests { a }").unwrap();
        let marks: Vec<_> = file.occurrences(&["a"]).map(|found| found[0].in_test).collect();
        assert_eq!(marks, [false, true]);
    }
}
