//! The JSON header, parsed as it streams by: no tensor name outlives its own line, so memory does not follow the file's claims.

use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Listing, dtype};
use crate::cursor::Stop;
use crate::damage::SafetensorsDamage as Damage;
use crate::header::HeaderBuilder;
use crate::read_at::{ReadAt, Sequential};
use crate::seen_names::SeenNames;

/// Large models have a few thousand tensors; a hundred times that is an attack on memory.
const TENSOR_LIMIT: usize = 500_000;
/// The longest JSON string that is read; trainers embed whole logs in the metadata.
const STRING_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Parses the `claimed` header bytes that begin at offset 8; `data_length` bytes follow them.
pub(super) fn parse(source: &dyn ReadAt, claimed: u64, data_length: u64) -> Result<Listing, Stop> {
    let bytes = ShortStrings { bytes: Sequential::new(source, 8, claimed), run: 0, too_long: false };
    let mut parser = serde_json::Deserializer::from_reader(BufReader::with_capacity(16 * 1024, bytes));
    let mut reading = Reading {
        header: HeaderBuilder::default(),
        spans: Vec::new(),
        unknown_dtype: false,
        names: SeenNames::default(),
        damage: None,
    };
    match reading.deserialize(&mut parser).and_then(|()| parser.end()) {
        Ok(()) => Ok(Listing {
            header: reading.header.finish(),
            spans: reading.spans,
            data_length,
            unknown_dtype: reading.unknown_dtype,
        }),
        Err(error) => Err(match reading.damage {
            Some(damage) => damage.into(),
            None if error.io_error_kind().is_some_and(|kind| kind != io::ErrorKind::InvalidData) => {
                Stop::Io(error.into())
            }
            None => Damage::HeaderJson { detail: error.to_string() }.into(),
        }),
    }
}

/// Passes bytes through and fails on a JSON string over the limit, which the parser would gather in memory.
struct ShortStrings<R> {
    bytes: R,
    /// Bytes since the last quotation mark.
    run: usize,
    too_long: bool,
}

impl<R: Read> Read for ShortStrings<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        for byte in &buffer[..count] {
            self.run = if *byte == b'"' { 0 } else { self.run + 1 };
            self.too_long |= self.run > STRING_LIMIT_BYTES;
        }
        if self.too_long {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a string or gap of more than 16 MiB"));
        }
        Ok(count)
    }
}

/// The state that grows while the header streams by.
struct Reading {
    header: HeaderBuilder,
    spans: Vec<(u64, u64)>,
    unknown_dtype: bool,
    names: SeenNames,
    /// Set before the parser is told to stop for a reason that is not its own.
    damage: Option<Damage>,
}

impl<'de> DeserializeSeed<'de> for &mut Reading {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let added = if !self.names.insert(name.as_bytes()) {
                Err(Damage::DuplicateTensor { name })
            } else if name == "__metadata__" {
                map.next_value_seed(Metadata(&mut self.header))?;
                Ok(())
            } else {
                self.add(name, map.next_value()?)
            };
            if let Err(damage) = added {
                let stopped = A::Error::custom(&damage);
                self.damage = Some(damage);
                return Err(stopped);
            }
        }
        Ok(())
    }
}

impl Reading {
    fn add(&mut self, name: String, tensor: Tensor) -> Result<(), Damage> {
        if self.spans.len() == TENSOR_LIMIT {
            return Err(Damage::TooManyTensors { limit: TENSOR_LIMIT });
        }
        let (begin, end) = tensor.data_offsets;
        let Some(elements) = tensor.shape.0 else { return Err(Damage::ShapeOverflow { name }) };
        let needed = match dtype::bits(&tensor.dtype) {
            Some(bits) => dtype::bytes(bits, elements).ok_or_else(|| Damage::ShapeOverflow { name: name.clone() })?,
            None => {
                self.unknown_dtype = true;
                end.saturating_sub(begin)
            }
        };
        if begin.checked_add(needed) != Some(end) {
            return Err(Damage::SizeMismatch { name, needed, begin, end });
        }
        self.header.count_tensor(dtype_name(&tensor.dtype), elements, needed);
        self.spans.push((begin, end));
        Ok(())
    }
}

/// Names of unknown types are the file's own words: they are kept only while they are short.
fn dtype_name(dtype: &str) -> &str {
    if dtype.len() <= 32 { dtype } else { "unknown" }
}

/// One tensor of the header.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// The product of a shape, without keeping the shape; `None` where it overflows.
struct Shape(Option<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Product;

        impl<'de> Visitor<'de> for Product {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array of dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut dimensions: A) -> Result<Shape, A::Error> {
                let mut product = Some(1_u64);
                while let Some(dimension) = dimensions.next_element::<u64>()? {
                    product = product.and_then(|product| product.checked_mul(dimension));
                }
                Ok(Shape(product))
            }
        }

        deserializer.deserialize_seq(Product)
    }
}

/// The `__metadata__` object: text to text, kept while it is small.
struct Metadata<'a>(&'a mut HeaderBuilder);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            self.0.keep_metadata(key, value);
        }
        Ok(())
    }
}
