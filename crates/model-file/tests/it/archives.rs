//! Zips: whole, damaged, and their checksums.

use std::ops::ControlFlow;

use model_file::{Contents, Damage, Kind, Structure, Verdict, ZipDamage, check_zip_contents, glance, inspect};

use crate::build::pickle::state_dict;
use crate::build::zip::{Member, file, member, torch, torch_members, wide_file};

fn damage(members: &[Member]) -> ZipDamage {
    match inspect(&file(members), "a.pt").unwrap().structure {
        Structure::Damaged { reason: Damage::Zip(reason) } => reason,
        other => panic!("expected damage, found {other:?}"),
    }
}

fn contents(bytes: &Vec<u8>) -> Contents {
    check_zip_contents(bytes, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_torch_archive_is_whole_and_clean_in_both_widths_and_packings() {
    let stored = torch_members(&state_dict());
    let deflated: Vec<_> = stored.iter().cloned().map(|member| Member { deflated: true, ..member }).collect();
    for bytes in [file(&stored), wide_file(&stored), file(&deflated), wide_file(&deflated)] {
        let report = inspect(&bytes, "checkpoints/a.ckpt").unwrap();
        assert_eq!((report.kind, report.structure), (Kind::TorchZip, Structure::Whole));
        assert_eq!(report.pickle, Some(Verdict::Clean));
        assert_eq!(report.wrong_format, None);
        assert_eq!(contents(&bytes), Contents::Intact);
    }
}

#[test]
fn a_zip_without_its_tail_is_cut_short() {
    let mut bytes = torch();
    bytes.pop();
    let report = inspect(&bytes, "a.pt").unwrap();
    assert_eq!(report.structure, Structure::Damaged { reason: ZipDamage::NoEndRecord.into() });
    assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })));
}

#[test]
fn bytes_between_members_or_a_missing_front_are_found() {
    let mut bytes = torch();
    bytes.drain(..1);
    assert_eq!(glance(&[b"PK\x03\x04".as_slice(), &bytes[4..]].concat(), "a.pt").unwrap().whole, Some(false));
    let whole = torch();
    let middle = whole.windows(4).rposition(|bytes| bytes == b"PK\x03\x04").unwrap();
    let with_gap = [&whole[..middle], b"gap", &whole[middle..]].concat();
    assert_eq!(glance(&with_gap, "a.pt").unwrap().whole, Some(false));
}

#[test]
fn two_members_of_one_name_and_headers_that_disagree_are_damage() {
    let mut members = torch_members(&state_dict());
    members.push(members[0].clone());
    assert_eq!(damage(&members), ZipDamage::Duplicate { name: "archive/data.pkl".into() });
    let mut members = torch_members(&state_dict());
    members[2].forged_local_name = Some("archive/data/1".into());
    assert_eq!(damage(&members), ZipDamage::LocalHeader { name: "archive/data/0".into() });
}

#[test]
fn a_flipped_byte_in_a_tensor_is_found_by_its_checksum_only_when_all_is_read() {
    let mut members = torch_members(&state_dict());
    members[2].forged_crc = Some(1);
    let bytes = file(&members);
    assert_eq!(glance(&bytes, "a.pt").unwrap().whole, Some(true));
    let reason = ZipDamage::Checksum { name: "archive/data/0".into() }.into();
    assert_eq!(contents(&bytes), Contents::Damaged { reason });
}

#[test]
fn a_pickle_that_does_not_match_its_checksum_is_damage_at_first_sight() {
    for deflated in [false, true] {
        let mut members = torch_members(&state_dict());
        members[0].forged_crc = Some(1);
        members[0].deflated = deflated;
        assert_eq!(damage(&members), ZipDamage::Checksum { name: "archive/data.pkl".into() });
    }
}

#[test]
fn the_checksum_run_tells_its_progress_and_can_be_stopped() {
    let members = [member("data.pkl", &state_dict()), member("data/0", &vec![5; 3_500_000])];
    let mut read = 0;
    let mut calls = 0;
    let all = check_zip_contents(&file(&members), &mut |bytes| {
        read += bytes;
        calls += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(all.unwrap(), Contents::Intact);
    assert_eq!(read, 3_500_000 + state_dict().len() as u64);
    assert!(calls >= 4, "{calls} calls");
    let stopped = check_zip_contents(&file(&members), &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap(), Contents::Stopped);
}

#[test]
fn a_member_that_unpacks_to_more_than_it_states_is_not_unpacked() {
    let bomb = Member { deflated: true, forged_size: Some(10), ..member("data.pkl", &vec![b'N'; 100_000_000]) };
    let report = inspect(&file(std::slice::from_ref(&bomb)), "a.pt").unwrap();
    assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })), "{report:?}");
    let reason = ZipDamage::Checksum { name: "data.pkl".into() }.into();
    assert_eq!(contents(&file(&[bomb])), Contents::Damaged { reason });
}

#[test]
fn a_zip_that_is_no_torch_archive_says_so() {
    let bytes = file(&[member("readme.txt", b"hello")]);
    let report = inspect(&bytes, "pack.zip").unwrap();
    assert_eq!((report.kind, report.structure), (Kind::Zip, Structure::Whole));
    assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })));
}
