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
/// Element types that are told apart in one file; the format has some twenty.
const DTYPE_LIMIT: usize = 100;
/// The longest JSON string that is read; trainers embed whole logs in the metadata.
const STRING_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Parses the `claimed` header bytes that begin at offset 8; `data_length` bytes follow them.
pub(super) fn parse(source: &dyn ReadAt, claimed: u64, data_length: u64) -> Result<Listing, Stop> {
    let bytes = ShortStrings { bytes: Sequential::new(source, 8, claimed), run: 0, too_long: false };
    let mut parser = serde_json::Deserializer::from_reader(BufReader::with_capacity(16 * 1024, bytes));
    let mut reading = Reading {
        header: HeaderBuilder::default(),
        has_metadata: false,
        tensors: Vec::new(),
        dtypes: Vec::new(),
        names: SeenNames::default(),
        damage: None,
    };
    match reading.deserialize(&mut parser).and_then(|()| parser.end()) {
        Ok(()) => Ok(reading.into_listing(data_length)?),
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
    has_metadata: bool,
    tensors: Vec<Result<Span, Damage>>,
    /// The names of element types, in the order of their first use.
    dtypes: Vec<String>,
    names: SeenNames,
    /// Set before the parser is told to stop for a reason that is not its own.
    damage: Option<Damage>,
}

/// What is kept of a tensor.
struct Span {
    begin: u64,
    end: u64,
    elements: u64,
    /// Its place in the list of element types; none for a type whose size is not known here.
    dtype: usize,
    is_known: bool,
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
            if name == "__metadata__" {
                if std::mem::replace(&mut self.has_metadata, true) {
                    return Err(A::Error::custom("duplicate field `__metadata__`"));
                }
                map.next_value_seed(Metadata(&mut self.header))?;
                continue;
            }
            let tensor = map.next_value::<Tensor>()?;
            // Of a name that occurs twice the reference reader takes the last.
            let number = self.tensors.len();
            match self.names.insert_as(name.as_bytes(), number) {
                Some(before) => self.tensors[before] = self.span(name, &tensor),
                None if number == TENSOR_LIMIT => {
                    let damage = Damage::TooManyTensors { limit: TENSOR_LIMIT };
                    let stopped = A::Error::custom(&damage);
                    self.damage = Some(damage);
                    return Err(stopped);
                }
                None => {
                    let span = self.span(name, &tensor);
                    self.tensors.push(span);
                }
            }
        }
        Ok(())
    }
}

impl Reading {
    fn span(&mut self, name: String, tensor: &Tensor) -> Result<Span, Damage> {
        let (begin, end) = tensor.data_offsets;
        let Some(elements) = tensor.shape.0 else { return Err(Damage::ShapeOverflow { name }) };
        let bits = dtype::bits(&tensor.dtype);
        let needed = match bits {
            Some(bits) => dtype::bytes(bits, elements).ok_or_else(|| Damage::ShapeOverflow { name: name.clone() })?,
            None => end.saturating_sub(begin),
        };
        if begin.checked_add(needed) != Some(end) {
            return Err(Damage::SizeMismatch { name, needed, begin, end });
        }
        let dtype = self.number_of(dtype_name(&tensor.dtype));
        Ok(Span { begin, end, elements, dtype, is_known: bits.is_some() })
    }

    fn number_of(&mut self, dtype: &str) -> usize {
        let dtype = if self.dtypes.len() < DTYPE_LIMIT { dtype } else { "unknown" };
        self.dtypes.iter().position(|known| known == dtype).unwrap_or_else(|| {
            self.dtypes.push(dtype.to_owned());
            self.dtypes.len() - 1
        })
    }

    /// What the tensors that remained add up to; the first that is damaged, if any is.
    fn into_listing(mut self, data_length: u64) -> Result<Listing, Damage> {
        let mut unknown_dtype = false;
        let mut spans = Vec::with_capacity(self.tensors.len());
        for tensor in self.tensors {
            let span = tensor?;
            unknown_dtype |= !span.is_known;
            self.header.count_tensor(&self.dtypes[span.dtype], span.elements, span.end - span.begin);
            spans.push((span.begin, span.end));
        }
        Ok(Listing { header: self.header.finish(), spans, data_length, unknown_dtype })
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

/// The `__metadata__` object: text to text, kept while it is small. The reference reader takes `null` for none.
struct Metadata<'a>(&'a mut HeaderBuilder);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of texts")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            self.0.keep_metadata(key, value);
        }
        Ok(())
    }
}
