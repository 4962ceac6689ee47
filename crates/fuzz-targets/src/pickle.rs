//! Pickles: "clean" is said only of what a second reader comes to the end of without a harmful import.

use model_file::{Kind, Verdict};

use crate::second_reader::{is_tar, scan_pickle};
use crate::weights::report_on;
use crate::zip_directory::zip_of;

/// `os.system("id")`, protocol 2.
const PAYLOAD: &[u8] = b"\x80\x02cos\nsystem\n\x8c\x02id\x85R.";
/// Names whose contents are unpickled by somebody.
const NAMES: [&str; 3] = ["model.pt", "model.bin", "model.ckpt"];

pub(crate) fn check(bytes: &[u8]) {
    let name = NAMES[bytes.len() % NAMES.len()];
    let report = report_on(bytes, name);
    if report.pickle == Some(Verdict::Clean) {
        check_clean(bytes, name, report.kind);
    }
    // In front of anything a payload runs first, and in a row every pickle runs.
    let hidden = [PAYLOAD, bytes].concat();
    let verdict = report_on(&hidden, name).pickle;
    assert!(matches!(verdict, Some(Verdict::Unsafe { .. })), "a payload in front: {verdict:?}");
    if scan_pickle(bytes, 0).harm().is_some() {
        let zipped = report_on(&zip_of("archive/data.pkl", bytes), "model.pt").pickle;
        assert_ne!(zipped, Some(Verdict::Clean), "clean in a zip");
    }
}

fn check_clean(bytes: &[u8], name: &str, kind: Kind) {
    assert!(!is_tar(bytes), "torch opens a tar first");
    if kind != Kind::Pickle {
        return;
    }
    let first = scan_pickle(bytes, 0);
    assert!(first.next.is_some(), "a clean pickle comes to its stop");
    let mut next = Some(0);
    for _ in 0..5 {
        let Some(start) = next else { break };
        let scan = scan_pickle(bytes, start);
        assert_eq!(scan.harm(), None, "clean, but the pickle at {start} imports it");
        next = scan.next;
    }
    // Without its stop it is not clean, wherever it is cut.
    let stop = first.next.unwrap_or_default();
    for cut in [0, stop / 2, stop - 1] {
        let verdict = report_on(&bytes[..cut], name).pickle;
        assert_ne!(verdict, Some(Verdict::Clean), "cut at {cut} of {stop}");
    }
}
