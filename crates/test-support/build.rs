//! Compiles the stand-in for the NVIDIA management library twice, so that tests find a library that can be opened.
//!
//! Cargo builds no shared library for a dependency, and tests that compiled it themselves would do so once a process.

use std::env;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "data/fake_nvml.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    compile("fake_nvml_complete.so", &["--cfg", "complete"]);
    compile("fake_nvml_sparse.so", &[]);
}

fn compile(file_name: &str, arguments: &[&str]) {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    let target = env::var("TARGET").unwrap_or_default();
    let status = Command::new(compiler)
        .args([
            SOURCE,
            "--edition=2024",
            "--crate-type=cdylib",
            "--crate-name=fake_nvml",
            "-Cpanic=abort",
            "-Cstrip=symbols",
        ])
        .args(["--check-cfg=cfg(complete)", "--target", &target])
        .args(arguments)
        .arg("-o")
        .arg(Path::new(&folder).join(file_name))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{SOURCE} does not compile");
}
