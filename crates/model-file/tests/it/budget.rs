//! Files that would keep an inspection busy for hours: it ends on its own, and when it is told to.

use std::cell::Cell;
use std::io;

use model_file::{Error, ReadAt, Structure, Verdict, inspect, inspect_until};

use crate::build::gguf;
use crate::build::pickle::call;
use crate::build::zip::{Member, end_record, file, member, members_and_directory};

/// Zeroes behind a head, and how often they are read.
struct Sparse {
    head: Vec<u8>,
    length: u64,
    reads: Cell<u64>,
}

impl ReadAt for Sparse {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.set(self.reads.get() + 1);
        let start = usize::try_from(offset).unwrap().min(self.head.len());
        let known = (&self.head[start..]).read_at(buffer, 0)?;
        buffer[known..].fill(0);
        Ok(buffer.len().min(usize::try_from(self.length - offset).unwrap()))
    }
}

fn gguf_with_texts(count: u64) -> Sparse {
    let mut head = gguf::head(&[]);
    let array = head.len() - 2 * 8 - 3 - 8;
    head.truncate(array);
    head.extend(count.to_le_bytes());
    Sparse { head, length: 1 << 40, reads: Cell::new(0) }
}

/// An archive whose directory lists one member `times` times.
fn doubled(member: &Member, times: usize) -> Vec<u8> {
    let (mut bytes, entry) = members_and_directory(std::slice::from_ref(member));
    let start = bytes.len() as u32;
    let directory = entry.repeat(times);
    bytes.extend(&directory);
    bytes.extend(end_record(times as u16, directory.len() as u32, start));
    bytes
}

#[test]
fn an_array_that_cannot_fit_its_file_ends_the_reading_at_once() {
    let file = gguf_with_texts(1 << 60);
    let report = inspect(&file, "a.gguf").unwrap();
    assert!(matches!(report.structure, Structure::Damaged { .. }), "{report:?}");
    assert!(file.reads.get() < 10, "{} reads", file.reads.get());
}

#[test]
fn an_array_of_empty_texts_is_read_for_a_while_and_not_judged() {
    let file = gguf_with_texts(1 << 36);
    assert_eq!(inspect(&file, "a.gguf").unwrap().structure, Structure::NotJudged);
    let read = file.reads.get() * 16 * 1024;
    assert!(read <= 256 << 20, "{read} bytes");
}

#[test]
fn a_member_that_is_listed_again_and_again_is_judged_once() {
    let long = Member {
        deflated: true,
        ..member("archive/data.pkl", &[b"\x80\x02".as_slice(), &b"N0".repeat(1 << 20)].concat())
    };
    let asked = Cell::new(0_u64);
    let count = || {
        asked.set(asked.get() + 1);
        false
    };
    let report = inspect_until(&doubled(&long, 50_000), "a.pt", &count).unwrap();
    assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })), "{report:?}");
    assert!(asked.get() < 1_000, "{} reads", asked.get());
    let evil = doubled(&member("archive/data.pkl", &call("os", "system")), 50_000);
    assert!(matches!(inspect(&evil, "a.pt").unwrap().pickle, Some(Verdict::Unsafe { .. })));
}

/// Each of 80 members unpacks to 4 MiB from 4 kB: together they are over the budget of the file.
#[test]
fn many_long_members_are_judged_on_one_budget() {
    let archive = |count: usize, first: &[u8]| {
        let length = (4_u32 << 20).to_le_bytes();
        let body = [b"\x80\x02B".as_slice(), &length, &vec![7; 4 << 20], b"."].concat();
        let long = Member { deflated: true, ..member("", &body) };
        let mut members = vec![member("a/data.pkl", first), member("a/data/0", &vec![1; 1 << 20])];
        members.extend((0..count).map(|number| Member { name: format!("a/{number}.pkl"), ..long.clone() }));
        file(&members)
    };
    let asked = Cell::new(0_u64);
    let count = || {
        asked.set(asked.get() + 1);
        false
    };
    let report = inspect_until(&archive(80, b"\x80\x02N."), "a.pt", &count).unwrap();
    assert!(matches!(report.pickle, Some(Verdict::Unknown { .. })), "{report:?}");
    let before = asked.replace(0);
    let evil = inspect_until(&archive(2, &call("os", "system")), "a.pt", &count).unwrap();
    assert!(matches!(evil.pickle, Some(Verdict::Unsafe { .. })), "{evil:?}");
    assert!(asked.get() < 100, "nothing is unpacked once the verdict is settled");
    // Unpacking and checking all members takes some 16,000 reads.
    assert!((1_000..9_000).contains(&before), "{before} reads");
}

#[test]
fn a_stop_is_seen_before_the_next_read() {
    for stop_at in 1..20 {
        let file = gguf_with_texts(1 << 36);
        let stopped = inspect_until(&file, "a.gguf", &|| file.reads.get() >= stop_at);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        assert_eq!(file.reads.get(), stop_at);
    }
    let long = [b"\x80\x02".as_slice(), &b"N0".repeat(1 << 20)].concat();
    let packed = Member { deflated: true, ..member("archive/data.pkl", &long) };
    let bytes = file(&[packed, member("archive/data/0", &vec![1; 1 << 20])]);
    let asked = Cell::new(0);
    let stopped = inspect_until(&bytes, "a.pt", &|| {
        asked.set(asked.get() + 1);
        asked.get() > 50
    });
    assert!(matches!(stopped, Err(Error::Stopped)), "in the middle of an unpacked member: {stopped:?}");
}
