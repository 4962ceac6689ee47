//! Rule: no function is longer than a screen.

use anyhow::{Context, Result};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Finding, Repository, Rule, SourceFile};

const MOST_LINES: usize = 60;

pub(super) const RULE: Rule = Rule {
    name: "function-sizes",
    reason: "a function longer than a screen (60 lines) does more than its name says",
    check: findings,
};

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for source in repository.sources.iter().filter(|source| source.is_rust()) {
        findings.extend(findings_in(source)?);
    }
    Ok(findings)
}

fn findings_in(source: &SourceFile) -> Result<Vec<Finding>> {
    let file = syn::parse_file(&source.text).with_context(|| format!("{} is not Rust", source.path))?;
    let mut measure = Measure { path: &source.path, findings: Vec::new() };
    measure.visit_file(&file);
    Ok(measure.findings)
}

struct Measure<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Measure<'_> {
    fn function(&mut self, signature: &syn::Signature, end: Span) {
        let first = signature.span().start().line;
        let lines = end.end().line - first + 1;
        if lines > MOST_LINES {
            let advice = format!("`{}` has {lines} lines: give its parts names", signature.ident);
            self.findings.push(Finding::new(format!("{}:{first}", self.path), advice));
        }
    }
}

impl<'ast> Visit<'ast> for Measure<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a sample that does not parse is a fault of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_measured_from_its_name_to_its_last_brace() {
        let file = |blank: usize| {
            let text = format!("impl A {{\n/// Doc.\nfn long() {{{}}}\n}}", "\n".repeat(blank));
            SourceFile::parse("a.rs", &text).unwrap()
        };
        assert_eq!(findings_in(&file(59)).unwrap(), []);
        assert_eq!(
            findings_in(&file(60)).unwrap(),
            [Finding::new("a.rs:3", "`long` has 61 lines: give its parts names")]
        );
    }
}
