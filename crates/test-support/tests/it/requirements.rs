//! Requirements of tests: a skip is reported by name, and is a failure where nothing should be missing.

use std::process::Command;

use test_support::requirements::{Machine, Missing, Requirement, SKIPPED_TESTS, available};

/// Set in the child process of this test binary that skips.
const CHILD: &str = "TEST_SUPPORT_SKIPS";
const ABSENT: Requirement = Requirement::Program { name: "no-such-program", package: "no-such-package" };
const LINE: &str = "SKIPPED requirements::skipped_test_names_itself_and_the_package: no-such-program is not installed; \
                    on Debian: apt-get install no-such-package\n";

/// Runs itself as a child process, because libtest shows what it writes only there.
#[test]
fn skipped_test_names_itself_and_the_package() {
    if std::env::var_os(CHILD).is_some() {
        assert!(!available(&[Requirement::Program { name: "sh", package: "dash" }, ABSENT]));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("skipped");
    let run = |ci: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "requirements::skipped_test_names_itself_and_the_package", "--test-threads=2"]);
        child.env(CHILD, "1").env(SKIPPED_TESTS, &list).env("CI", ci).output().unwrap()
    };
    let by_hand = run("");
    assert!(by_hand.status.success());
    let told = String::from_utf8(by_hand.stderr).unwrap();
    assert_eq!(told, LINE);
    assert_eq!(std::fs::read_to_string(&list).unwrap(), LINE);

    let in_ci = run("true");
    assert_eq!(in_ci.status.success(), !Machine::current().installs_packages);
}

#[test]
fn ci_accepts_only_what_the_machine_cannot_provide() {
    let package = Missing::Package { program: "strace", package: "strace" };
    let permission = Missing::Permission("no mounts".to_owned());
    let capability = Missing::Capability("no xfs".to_owned());
    let may_skip = |ci, installs_packages, administers| {
        let machine = Machine { ci, installs_packages, administers };
        [&package, &permission, &capability].map(|missing| machine.may_skip(missing))
    };
    assert_eq!(may_skip(false, true, true), [true, true, true], "by hand");
    assert_eq!(may_skip(true, false, false), [true, true, true], "a user's machine");
    assert_eq!(may_skip(true, true, false), [false, true, true], "root of a container without rights");
    assert_eq!(may_skip(true, true, true), [false, false, true]);
}
