//! Random and mutated bytes: no panic, and nothing good is said by accident.

use std::ops::ControlFlow;

use model_file::{Structure, Verdict, check_zip_contents, glance, inspect};
use proptest::prelude::*;

use crate::build::{gguf, pickle, safetensors, zip};

const NAMES: [&str; 5] = ["a.safetensors", "a.gguf", "a.pt", "a.bin", "a.zip"];

fn good_files() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (safetensors::whole(), "a.safetensors"),
        (gguf::bare(), "a.gguf"),
        (zip::torch(), "a.pt"),
        (zip::wide_file(&zip::torch_members(&pickle::state_dict())), "a.pt"),
        (pickle::old_torch(&pickle::state_dict()), "a.pt"),
    ]
}

#[test]
fn no_good_file_is_whole_or_clean_at_any_shorter_length() {
    for (bytes, name) in good_files() {
        for length in 0..bytes.len() {
            let report = inspect(&bytes[..length].to_vec(), name).unwrap();
            assert_ne!(report.structure, Structure::Whole, "{name} at {length} of {}", bytes.len());
            let tensor_bytes = if bytes[0] == 0x80 { 8 + 16 } else { 0 };
            if length < bytes.len() - tensor_bytes {
                assert_ne!(report.pickle, Some(Verdict::Clean), "{name} at {length} of {}", bytes.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_never_whole_or_clean_by_accident(bytes in prop::collection::vec(any::<u8>(), 0..400), name in 0..5_usize) {
        let report = inspect(&bytes, NAMES[name]).unwrap();
        prop_assert_ne!(report.structure, Structure::Whole);
        prop_assert_ne!(report.pickle, Some(Verdict::Clean));
        check_zip_contents(&bytes, &mut |_| ControlFlow::Continue(())).unwrap();
    }

    #[test]
    fn random_bytes_behind_a_known_beginning_do_no_harm(start in 0..5_usize, tail in prop::collection::vec(any::<u8>(), 0..400), name in 0..5_usize) {
        let starts: [&[u8]; 5] = [b"GGUF\x03\0\0\0", b"PK\x03\x04", b"\x80\x02", b"\x10\0\0\0\0\0\0\0{\"", b"\x80\x04\x95"];
        let bytes = [starts[start], &tail].concat();
        let report = inspect(&bytes, NAMES[name]).unwrap();
        prop_assert_ne!(report.structure, Structure::Whole);
    }

    #[test]
    fn good_files_with_a_changed_byte_do_no_harm_and_both_entries_agree(
        file in 0..5_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let (mut bytes, name) = good_files().swap_remove(file);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let report = inspect(&bytes, name).unwrap();
        let whole = glance(&bytes, name).unwrap().whole;
        if report.structure == Structure::Whole {
            prop_assert_eq!(whole, Some(true));
        }
        check_zip_contents(&bytes, &mut |_| ControlFlow::Continue(())).unwrap();
    }

    #[test]
    fn a_payload_stays_unsafe_whatever_is_written_behind_it(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [pickle::call("os", "system"), tail].concat();
        let verdict = inspect(&bytes, "a.pt").unwrap().pickle;
        let is_unsafe = matches!(verdict, Some(Verdict::Unsafe { .. }));
        prop_assert!(is_unsafe, "{:?}", verdict);
    }
}
