//! safetensors and GGUF heads: a file is whole only if its head accounts for its bytes, and reading costs no more than the file.
//! Also the source that all model targets read through.

use std::cell::Cell;
use std::io;

use model_file::{Glance, Kind, ReadAt, Report, Structure, glance, inspect};
use serde_json::Value;

use crate::memory::{self, Limit};

/// Names, remarks and what is known of each tensor; and a member of a zip is unpacked in memory, whatever it has packed.
const MEMORY: Limit = Limit { fixed: 72 << 20, per_byte: 128 };
/// How often each byte may be read, and how much besides.
const READS: (u64, u64) = (16, 1 << 20);

/// A file in memory that counts what is read of it.
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
    read: Cell<u64>,
}

impl ReadAt for Source<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

/// Inspects a file with bounded memory and reads, twice, and glances at it: all three must agree.
pub(crate) fn report_on(bytes: &[u8], name: &str) -> Report {
    let source = Source { bytes, read: Cell::new(0) };
    let report = memory::bounded(bytes.len(), MEMORY, || inspect(&source, name)).expect("memory can be read");
    let (times, besides) = READS;
    assert!(source.read.get() <= times * bytes.len() as u64 + besides, "{} bytes were read", source.read.get());
    assert_eq!(inspect(&source, name).expect("memory can be read"), report, "one file, one report");
    let Glance { whole, weights } = glance(&source, name).expect("memory can be read");
    if report.structure == Structure::Whole {
        assert_eq!(whole, Some(true), "a glance sees less, and nothing else");
    }
    assert!(weights.is_none() || whole == Some(true));
    report
}

pub(crate) fn check_safetensors(bytes: &[u8]) {
    let report = report_on(bytes, "model.safetensors");
    let (Structure::Whole, Some(header), Kind::Safetensors) = (&report.structure, &report.header, report.kind) else {
        return;
    };
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("a whole file has a length"));
    let head_end = 8 + usize::try_from(length).expect("a whole file has its head");
    let data = (bytes.len() - head_end) as u64;
    assert_eq!(header.data_bytes, data, "every byte belongs to a tensor");
    assert_eq!(header.dtypes.values().sum::<u64>(), data);

    let head: Value = serde_json::from_slice(&bytes[8..head_end]).expect("the head of a whole file is JSON");
    let tensors = head.as_object().expect("of an object").iter().filter(|(name, _)| *name != "__metadata__");
    let mut ranges: Vec<[u64; 2]> = tensors
        .map(|(name, tensor)| {
            let offsets = tensor["data_offsets"].as_array().expect("offsets").iter().filter_map(Value::as_u64);
            let offsets: Vec<u64> = offsets.collect();
            <[u64; 2]>::try_from(offsets).unwrap_or_else(|offsets| panic!("{name} lies at {offsets:?}"))
        })
        .collect();
    ranges.sort_unstable();
    assert_eq!(ranges.len() as u64, header.tensors);
    assert!(ranges.windows(2).all(|pair| pair[0][1] == pair[1][0]), "tensors overlap or leave a gap: {ranges:?}");
    assert_eq!((ranges.first().map_or(0, |range| range[0]), ranges.last().map_or(0, |range| range[1])), (0, data));

    for other in [&bytes[..bytes.len() - 1], &[bytes, b"\0"].concat()] {
        assert_ne!(report_on(other, "model.safetensors").structure, Structure::Whole, "{} bytes", other.len());
    }
}

pub(crate) fn check_gguf(bytes: &[u8]) {
    let report = report_on(bytes, "model.gguf");
    let (Structure::Whole, Some(header), Kind::Gguf) = (&report.structure, &report.header, report.kind) else { return };
    // Version, counts, and for each tensor the length of its name, its number of dimensions, its type and its offset.
    let least_head =
        header.tensors.checked_mul(24).and_then(|tensors| tensors.checked_add(24)).expect("of a real file");
    assert!(least_head + header.data_bytes <= bytes.len() as u64, "{header:?} in {} bytes", bytes.len());
    assert_eq!(header.dtypes.values().sum::<u64>(), header.data_bytes);
    if header.data_bytes > 0 {
        let half = &bytes[..bytes.len() - usize::try_from(header.data_bytes).expect("it is in memory").div_ceil(2)];
        assert!(half.len() + 32 > bytes.len() || report_on(half, "model.gguf").structure != Structure::Whole);
    }
}
