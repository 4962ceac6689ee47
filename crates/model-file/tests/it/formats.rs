//! Which format a file is, whatever it is called.

use model_file::{Kind, Structure, Verdict, glance, inspect};

use crate::build::{gguf, pickle, safetensors, zip};

#[test]
fn a_clean_pickle_saved_as_safetensors_is_reported_and_not_failed() {
    let report = inspect(&zip::torch(), "checkpoints/sd15.safetensors").unwrap();
    assert_eq!(report.wrong_format.unwrap().found, Kind::TorchZip);
    assert_eq!((report.structure, report.pickle), (Structure::Whole, Some(Verdict::Clean)));
    let bare = pickle::old_torch(&pickle::state_dict());
    assert_eq!(inspect(&bare, "sd15.safetensors").unwrap().wrong_format.unwrap().found, Kind::Pickle);
    assert_eq!(glance(&bare, "sd15.safetensors").unwrap().whole, None);
}

#[test]
fn pages_and_pointers_under_a_weight_files_name_are_not_whole() {
    let page = b"\n<!DOCTYPE html><html><body>Sign in</body></html>".to_vec();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".to_vec();
    for bytes in [page, pointer] {
        for name in ["a.safetensors", "a.gguf", "a.ckpt", "a.bin"] {
            assert_eq!(glance(&bytes, name).unwrap().whole, Some(false), "{name}");
            assert!(inspect(&bytes, name).unwrap().wrong_format.is_some());
        }
        assert_eq!(glance(&bytes, "readme.html").unwrap().whole, None);
    }
}

#[test]
fn an_empty_file_is_damaged_under_any_name() {
    for name in ["a.safetensors", "a.pth", "config.json"] {
        assert_eq!(glance(&Vec::new(), name).unwrap().whole, Some(false));
        assert_eq!(inspect(&Vec::new(), name).unwrap().kind, Kind::Empty);
    }
}

#[test]
fn other_files_of_a_models_folder_are_left_alone() {
    for (name, bytes) in [
        ("config.json", b"{}".to_vec()),
        ("notes.txt", b"cats\nthen\n".to_vec()),
        ("a.onnx", vec![8, 7, 18]),
        ("LICENSE", b"MIT License\n".to_vec()),
        ("spiece.model", b"\n\x0e\n\x05<unk>\x15".to_vec()),
        (
            "plain.npy",
            crate::build::pickle::numpy_array("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", &[0; 4]),
        ),
    ] {
        let report = inspect(&bytes, name).unwrap();
        assert_eq!((report.structure, report.pickle, report.wrong_format), (Structure::NotJudged, None, None));
        assert_eq!(glance(&bytes, name).unwrap().whole, None);
    }
}

#[test]
fn safe_formats_under_a_pickles_name_are_wrong_but_hold_no_verdict_of_clean() {
    for bytes in [safetensors::whole(), gguf::whole()] {
        let report = inspect(&bytes, "a.pt").unwrap();
        assert!(report.wrong_format.is_some());
        assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })));
    }
}

#[test]
fn a_header_of_640_bytes_does_not_make_a_safetensors_file_a_pickle() {
    // The length 640 is written 80 02, which is how a pickle of protocol 2 begins.
    let header = format!("{{{}}}", " ".repeat(638));
    let report = inspect(&safetensors::file(&header, 0), "a.safetensors").unwrap();
    assert_eq!((report.kind, report.structure), (Kind::Safetensors, Structure::Whole));
}
