//! What the head of a weight file declares, kept small enough to hold for every file of a models folder.

use std::collections::BTreeMap;

/// A single metadata value longer than this is left out: training logs and workflows embedded in a head.
const VALUE_LIMIT_BYTES: usize = 16 * 1024;
/// All metadata kept of one file.
const METADATA_LIMIT_BYTES: usize = 64 * 1024;

/// The facts that a safetensors or GGUF head states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// How many tensors the file holds.
    pub tensors: u64,
    /// How many numbers these tensors hold together.
    pub parameters: u64,
    /// The bytes of all tensors, without head and padding.
    pub data_bytes: u64,
    /// The bytes of the tensors of each element type, by the format's own name (`BF16`, `F8_E4M3`, `Q4_K`).
    pub dtypes: BTreeMap<String, u64>,
    /// The file's own key-value remarks; values over 16 KiB, arrays, and what exceeds 64 KiB in all are left out.
    pub metadata: BTreeMap<String, String>,
    /// True when a remark was left out of `metadata`.
    pub metadata_cut: bool,
}

/// Gathers a [`Header`] while a head streams by.
#[derive(Default)]
pub(crate) struct HeaderBuilder {
    header: Header,
    metadata_bytes: usize,
}

impl HeaderBuilder {
    /// What was gathered.
    pub(crate) fn finish(self) -> Header {
        self.header
    }

    /// Counts one tensor in.
    pub(crate) fn count_tensor(&mut self, dtype: &str, parameters: u64, bytes: u64) {
        let header = &mut self.header;
        header.tensors += 1;
        header.parameters = header.parameters.saturating_add(parameters);
        header.data_bytes = header.data_bytes.saturating_add(bytes);
        match header.dtypes.get_mut(dtype) {
            Some(sum) => *sum = sum.saturating_add(bytes),
            None => {
                header.dtypes.insert(dtype.to_owned(), bytes);
            }
        }
    }

    /// Keeps a remark if it is small enough.
    pub(crate) fn keep_metadata(&mut self, key: String, value: String) {
        let size = key.len() + value.len() + 1;
        if value.len() > VALUE_LIMIT_BYTES || self.metadata_bytes + size > METADATA_LIMIT_BYTES {
            self.header.metadata_cut = true;
        } else {
            self.metadata_bytes += size;
            self.header.metadata.insert(key, value);
        }
    }

    /// Notes that a remark was passed over by the reader itself.
    pub(crate) fn metadata_left_out(&mut self) {
        self.header.metadata_cut = true;
    }
}
