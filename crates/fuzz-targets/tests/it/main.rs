//! Replays the kept corpus over every target. In one test: the targets count the memory of the whole process.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;

/// Every input that was found, by name. Also those that `cargo xtask fuzz` left in a crash folder and a person copied here.
#[test]
fn kept_corpus_breaks_no_invariant() {
    let mut broken = Vec::new();
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(inputs.len() >= 5, "{} has {} inputs", target.name, inputs.len());
        (target.check)(b"");
        for path in inputs {
            let bytes = fs::read(&path).unwrap();
            if catch_unwind(AssertUnwindSafe(|| (target.check)(&bytes))).is_err() {
                broken.push(path);
            }
        }
    }
    assert_eq!(broken, Vec::<PathBuf>::new());
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}
