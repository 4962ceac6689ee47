//! GGUF files that are as the format asks for.

use model_file::{Kind, Structure, glance, inspect};

use crate::build::gguf::{file, head, whole};

#[test]
fn a_whole_file_is_whole_and_its_head_is_told() {
    let report = inspect(&whole(), "unet/flux-Q4_K.gguf").unwrap();
    assert_eq!((report.kind, report.structure), (Kind::Gguf, Structure::Whole));
    let header = report.header.unwrap();
    assert_eq!((header.tensors, header.parameters, header.data_bytes), (2, 515, 300));
    assert_eq!(header.dtypes.into_iter().collect::<Vec<_>>(), [("F32".into(), 12), ("Q4_K".into(), 288)]);
    assert_eq!(header.metadata["general.architecture"], "flux");
    assert!(header.metadata_cut, "the array of tokens is passed over");
}

#[test]
fn the_last_tensor_may_be_bare_and_a_head_may_stand_alone() {
    let bare = file(&[("a", &[3], 0, 0)], 12);
    let padded = file(&[("a", &[3], 0, 0)], 32);
    for bytes in [bare, padded, head(&[]), file(&[], 0)] {
        assert_eq!(glance(&bytes, "a.gguf").unwrap().whole, Some(true));
    }
}

#[test]
fn what_is_not_known_here_is_not_judged() {
    let unknown_type = file(&[("a", &[3], 200, 0)], 32);
    let mut first_version = whole();
    first_version[4] = 1;
    let mut other_byte_order = whole();
    other_byte_order[4..8].copy_from_slice(&3_u32.to_be_bytes());
    for bytes in [unknown_type, first_version, other_byte_order] {
        assert_eq!(glance(&bytes, "a.gguf").unwrap().whole, None);
    }
}
