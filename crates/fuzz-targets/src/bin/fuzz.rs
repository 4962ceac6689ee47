//! The fuzzer: libFuzzer around the target that `FUZZ_TARGET` names. `cargo xtask fuzz` builds and starts it.
#![no_main]

use std::sync::OnceLock;

use fuzz_targets::{Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let Some(found) = target(&name) else { panic!("FUZZ_TARGET names no target: {name:?}") };
        let _ = TARGET.set(*found);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.check)(bytes);
        }
    }
);
