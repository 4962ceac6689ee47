//! Zip directories: "clean" is said only where Python's reader sees the same members, and each harmless.

use std::ops::ControlFlow;

use model_file::{Contents, Structure, Verdict, check_zip_contents};

use crate::second_reader::{is_tar, scan_pickle, zip_members};
use crate::weights::report_on;

pub(crate) fn check(bytes: &[u8]) {
    let report = report_on(bytes, "model.pt");
    let mut told = 0;
    let mut progress = |more: u64| {
        told += more;
        ControlFlow::Continue(())
    };
    let contents = check_zip_contents(&bytes, &mut progress).expect("memory can be read");
    assert!(told <= bytes.len() as u64, "progress of {told} in {} bytes", bytes.len());
    if contents == Contents::Intact {
        assert_eq!(report.structure, Structure::Whole, "intact contents in a broken structure");
    }
    if report.pickle != Some(Verdict::Clean) {
        return;
    }
    assert!(!is_tar(bytes), "torch opens a tar first");
    for member in zip_members(bytes).iter().filter(|member| member.stored && member.name.ends_with(".pkl")) {
        let scan = member.data(bytes).map(|data| scan_pickle(data, 0)).unwrap_or_default();
        assert_eq!(scan.harm(), None, "clean, but {} imports it", member.name);
    }
}

/// A zip of one stored member.
pub(crate) fn zip_of(name: &str, data: &[u8]) -> Vec<u8> {
    let mut shared = vec![0; 8];
    shared.extend(crc32fast::hash(data).to_le_bytes());
    shared.extend((data.len() as u32).to_le_bytes());
    shared.extend((data.len() as u32).to_le_bytes());
    shared.extend((name.len() as u16).to_le_bytes());
    let local = [b"PK\x03\x04\x14\0".as_slice(), &shared, b"\0\0", name.as_bytes(), data].concat();
    let entry = [b"PK\x01\x02\x14\0\x14\0".as_slice(), &shared, &[0; 16], name.as_bytes()].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((entry.len() as u32).to_le_bytes());
    end.extend((local.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [local, entry, end].concat()
}
