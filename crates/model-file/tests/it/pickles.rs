//! Pickles that weights really are: clean, and what makes them less.

use model_file::{Kind, Structure, Verdict, inspect};

use crate::build::pickle::{import, old_torch, state_dict, stream, text};

fn verdict(bytes: &Vec<u8>) -> Verdict {
    inspect(bytes, "a.pt").unwrap().pickle.unwrap()
}

#[test]
fn the_old_format_of_torch_is_followed_through_its_five_pickles() {
    let bytes = old_torch(&state_dict());
    let report = inspect(&bytes, "upscale_models/a.pth").unwrap();
    assert_eq!((report.kind, report.structure), (Kind::Pickle, Structure::NotJudged));
    assert_eq!(report.pickle, Some(Verdict::Clean));
    assert_eq!(report.wrong_format, None);
}

#[test]
fn plain_containers_of_every_protocol_with_a_mark_are_clean() {
    for protocol in 2..=5 {
        assert_eq!(verdict(&stream(protocol, &[b"}(", &text("a"), b"K\x01u"])), Verdict::Clean);
        assert_eq!(verdict(&stream(protocol, &[&import("collections", "OrderedDict"), b")R"])), Verdict::Clean);
    }
}

#[test]
fn texts_of_the_memo_name_an_import_that_is_on_the_list() {
    let body: [&[u8]; 4] = [&text("collections"), b"\x94", &text("OrderedDict"), b"\x94\x93\x94)R0h\x00h\x01\x93)R"];
    assert_eq!(verdict(&stream(4, &body)), Verdict::Clean);
}

#[test]
fn an_import_off_the_list_is_named_once_and_printable() {
    let hostile =
        stream(2, &[&import("os", "system"), b"0", &import("os", "system"), b"0", &import("os\x1b", "b"), b"0N"]);
    let Verdict::Unsafe { imports } = verdict(&hostile) else { panic!("expected unsafe") };
    assert_eq!(imports.into_iter().collect::<Vec<_>>(), ["os.system"]);
    let unlisted = stream(2, &[&import("a\x1b", "b"), b"0", &import("a\x1b", "b"), b"0N"]);
    let Verdict::Unknown { imports, .. } = verdict(&unlisted) else { panic!("expected unknown") };
    assert_eq!(imports.into_iter().collect::<Vec<_>>(), ["a\\u{1b}.b"]);
}

#[test]
fn a_pickle_that_ends_before_its_stop_is_damaged_and_unknown() {
    let mut bytes = state_dict();
    bytes.pop();
    let at = bytes.len() as u64;
    let report = inspect(&bytes, "a.pt").unwrap();
    let reason = model_file::Damage::EndsInside { part: "pickle", at };
    assert_eq!(report.structure, Structure::Damaged { reason });
    assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })));
}

#[test]
fn persistent_ids_are_for_torch_alone() {
    assert!(matches!(verdict(&state_dict()), Verdict::Unknown { .. }), "a bare pickle has nobody to resolve them");
}

#[test]
fn pickles_in_a_row_are_all_followed() {
    let plain = stream(2, &[b"N"]);
    assert_eq!(verdict(&[plain.clone(), plain.clone()].concat()), Verdict::Clean);
    let hidden = [plain.clone(), stream(2, &[&import("os", "system")])].concat();
    assert!(matches!(verdict(&hidden), Verdict::Unsafe { .. }));
    assert!(matches!(verdict(&[plain, b"left over".to_vec()].concat()), Verdict::Unknown { .. }));
}
