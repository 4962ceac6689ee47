//! Heads that declare what the file does not have: refused, with the reason.

use model_file::{Damage, GgufDamage, ReadAt, SafetensorsDamage as Tensors, Structure, glance, inspect};

use crate::build::{gguf, safetensors};

fn damage(bytes: &Vec<u8>, name: &str) -> Damage {
    match inspect(bytes, name).unwrap().structure {
        Structure::Damaged { reason } => reason,
        other => panic!("expected damage, found {other:?}"),
    }
}

fn damage_of_header(header: &str, data: usize) -> Damage {
    damage(&safetensors::file(header, data), "a.safetensors")
}

fn one(shape: &str, offsets: &str) -> String {
    format!(r#"{{"a":{{"dtype":"U8","shape":{shape},"data_offsets":{offsets}}}}}"#)
}

#[test]
fn safetensors_offsets_must_fit_the_file() {
    let cut = |needed, present| Damage::Safetensors(Tensors::CutShort { needed, present });
    assert_eq!(damage_of_header(&one("[9]", "[0,9]"), 8), cut(9, 8));
    let far = "[9223372036854775808]";
    assert_eq!(damage_of_header(&one(far, "[0,9223372036854775808]"), 8), cut(1 << 63, 8));
    let hole = |from, to| Damage::Safetensors(Tensors::Hole { from, to });
    assert_eq!(damage_of_header(&one("[3]", "[1,4]"), 4), hole(0, 1));
    assert_eq!(damage_of_header(&one("[3]", "[0,3]"), 4), hole(3, 4));
    assert_eq!(damage_of_header("{}", 1), hole(0, 1));
}

#[test]
fn safetensors_sizes_must_fit_shapes() {
    let mismatch =
        |needed, begin, end| Damage::Safetensors(Tensors::SizeMismatch { name: "a".into(), needed, begin, end });
    assert_eq!(damage_of_header(&one("[2]", "[0,3]"), 3), mismatch(2, 0, 3));
    assert_eq!(damage_of_header(&one("[2]", "[3,1]"), 3), mismatch(2, 3, 1));
    let overflow = Damage::Safetensors(Tensors::ShapeOverflow { name: "a".into() });
    assert_eq!(damage_of_header(&one("[4294967296,4294967296]", "[0,0]"), 0), overflow);
    let halves = r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#;
    assert_eq!(damage_of_header(halves, 2), overflow);
}

#[test]
fn safetensors_tensors_must_not_share_bytes() {
    let shared =
        r#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#;
    assert_eq!(damage_of_header(shared, 4), Damage::Safetensors(Tensors::Overlap { at: 2 }));
}

#[test]
fn a_safetensors_header_longer_than_allowed_or_than_the_file_is_refused() {
    let with_length = |length: u64| [length.to_le_bytes().as_slice(), b"{}"].concat();
    let limit = 100_000_000;
    let too_large = |claimed| Damage::Safetensors(Tensors::HeaderTooLarge { claimed, limit });
    assert_eq!(damage(&with_length(limit + 1), "a.safetensors"), too_large(limit + 1));
    assert_eq!(damage(&with_length(1 << 63), "a.safetensors"), too_large(1 << 63));
    let past_the_end = Damage::Safetensors(Tensors::HeaderPastTheEnd { claimed: 3, present: 2 });
    assert_eq!(damage(&with_length(3), "a.safetensors"), past_the_end);
    assert_eq!(damage(&b"{}".to_vec(), "a.safetensors"), Damage::EndsInside { part: "safetensors header", at: 2 });
}

#[test]
fn a_safetensors_header_that_is_no_header_is_refused() {
    let many_dimensions = format!("[{}1]", "1,".repeat(100_000));
    let headers = [
        "{",
        "{} {}",
        "{\"a\":1}",
        r#"{"__metadata__":{"a":1}}"#,
        r#"{"__metadata__":null,"__metadata__":{}}"#,
        &one("[1.5]", "[0,1]"),
        &one("[-1]", "[0,1]"),
        &one("[18446744073709551616]", "[0,1]"),
        &one("[1]", "[0]"),
        &one("[1]", "[0,1,1]"),
        &"{\"a\":".repeat(10_000),
        &one(&many_dimensions, "[0,2]"),
    ];
    for header in headers {
        let found = glance(&safetensors::file(header, 1), "a.safetensors").unwrap().whole;
        assert_eq!(found, Some(false), "{}", &header[..header.len().min(80)]);
    }
}

#[test]
fn a_safetensors_header_of_one_endless_string_is_refused_before_it_fills_memory() {
    let header = format!("{{\"{}\":1}}", "a".repeat(17 << 20));
    let sentence = damage_of_header(&header, 0).to_string();
    assert!(sentence.contains("a string or gap of more than 16 MiB"), "{sentence}");
}

#[test]
fn a_file_without_its_last_byte_is_cut_short() {
    for (mut bytes, name) in [(safetensors::whole(), "a.safetensors"), (gguf::whole(), "a.gguf")] {
        bytes.pop();
        let sentence = damage(&bytes, name).to_string();
        assert!(sentence.ends_with("it is cut short"), "{sentence}");
    }
}

#[test]
fn gguf_tensors_must_fill_the_file() {
    let end = gguf::file(&[], 0).len() as u64;
    let of = |tensors: &[gguf::Tensor<'_>], data| damage(&gguf::file(tensors, data), "a.gguf");
    let misplaced = |expected, found| Damage::Gguf(GgufDamage::Misplaced { expected, found });
    let two = |second| of(&[("a", &[8], 0, 0), ("b", &[8], 0, second)], 64);
    assert_eq!(two(0), misplaced(32, 0));
    assert_eq!(two(64), misplaced(32, 64));
    assert_eq!(two(1 << 63), misplaced(32, 1 << 63));
    let shape = Damage::Gguf(GgufDamage::Shape { name: "a".into() });
    assert_eq!(of(&[("a", &[33], 2, 0)], 36), shape, "33 numbers do not fill blocks of 32");
    assert_eq!(of(&[("a", &[1 << 63, 2], 0, 0)], 32), shape);
    assert_eq!(of(&[("a", &[1 << 62], 0, 0)], 32), shape, "2^62 numbers of 4 bytes");
    let sentence = of(&[("a", &[1 << 60], 0, 0)], 32).to_string();
    assert!(sentence.ends_with("it is cut short"), "{sentence}");
    let twice = of(&[("a", &[8], 0, 0), ("a", &[8], 0, 32)], 64);
    assert_eq!(twice, Damage::Gguf(GgufDamage::Duplicate { name: "a".into() }));
    assert!(
        matches!(of(&[("a", &[8], 0, 0)], 64), Damage::Gguf(GgufDamage::Trailing { present, .. }) if present > end)
    );
}

#[test]
fn gguf_counts_beyond_reason_are_refused_before_anything_is_read() {
    for (at, what) in [(8, "tensors"), (16, "metadata entries")] {
        for claimed in [500_001_u64, 1 << 63, u64::MAX] {
            let mut bytes = gguf::whole();
            bytes[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
            let refused = GgufDamage::TooMany { what, claimed, limit: 500_000 };
            assert_eq!(damage(&bytes, "a.gguf"), Damage::Gguf(refused));
        }
    }
}

/// Counts what is read of a file whose data is not there at all.
struct Sparse {
    head: Vec<u8>,
    length: u64,
    read: std::cell::Cell<u64>,
}

impl ReadAt for Sparse {
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        assert!(offset <= self.length, "a read past the end");
        self.read.set(self.read.get() + buffer.len() as u64);
        let start = (offset as usize).min(self.head.len());
        let known = (&self.head[start..]).read_at(buffer, 0)?;
        buffer[known..].fill(0);
        Ok(buffer.len().min((self.length - offset) as usize))
    }
}

#[test]
fn a_file_of_50_gigabytes_is_judged_by_its_head_alone() {
    let size = 50_000_000_000_u64;
    let head = safetensors::file(&one(&format!("[{size}]"), &format!("[0,{size}]")), 0);
    let length = head.len() as u64 + size;
    let file = Sparse { head, length, read: 0.into() };
    assert_eq!(inspect(&file, "a.safetensors").unwrap().structure, Structure::Whole);
    assert!(file.read.get() < 64 * 1024, "read {} bytes", file.read.get());
}
