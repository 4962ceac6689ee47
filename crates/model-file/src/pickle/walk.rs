//! Follows one pickle opcode by opcode and notes what it would import.

use std::collections::BTreeSet;

use super::machine::{Jam, Machine, Value};
use super::opcode::{Argument, Effect, lookup};
use super::standing::{Standing, standing};
use super::verdict::NAMED_LIMIT;
use super::{Persistent, Verdict};
use crate::cursor::{Cursor, Stop};
use crate::meter::is_over_budget;
use crate::read_at::{ReadAt, read_available};

/// Longer lines and names occur in no writer's output.
const LINE_LIMIT_BYTES: usize = 4096;
const NAME_LIMIT_BYTES: u64 = 1024;
const PROTOCOL: u8 = 0x80;
const NEWEST_PROTOCOL: u64 = 5;

/// How a walk ended.
pub(super) enum End {
    /// At the stop opcode; the next byte is at this offset.
    Stopped { at: u64 },
    /// The bytes ran out, at this offset.
    CutShort { at: u64 },
    /// Python would raise an error, or the walk gave up.
    Lost,
}

/// What a walk found.
pub(super) struct Walk {
    pub(super) verdict: Verdict,
    pub(super) end: End,
    /// Python raises an error before it has imported or asked for anything.
    pub(super) is_refused: bool,
}

/// Follows the pickle that begins at `position`; `budget` is what may still be walked of this file.
pub(super) fn walk(
    source: &dyn ReadAt,
    length: u64,
    position: u64,
    persistent: Persistent,
    budget: &mut u64,
) -> Result<Walk, Stop> {
    let mut walker = Walker {
        source,
        cursor: Cursor::new(source, length, position),
        machine: Machine::default(),
        persistent,
        frame_end: 0,
        dangerous: BTreeSet::new(),
        unlisted: BTreeSet::new(),
        reaches_out: false,
        obstacle: None,
    };
    let (end, reason, raises) = match walker.run(budget) {
        Ok(()) => (End::Stopped { at: walker.cursor.position() }, None, false),
        Err(Halt::Stop(Stop::Io(source))) if !is_over_budget(&source) => return Err(Stop::Io(source)),
        Err(Halt::Stop(Stop::Ended { at })) => (End::CutShort { at }, Some("the stream ends before its stop"), true),
        Err(Halt::Stop(_)) => (End::Lost, Some("the stream is too long to be followed"), false),
        Err(Halt::Jam(Jam::Raises(reason))) => (End::Lost, Some(reason), true),
        Err(Halt::Jam(Jam::GivesUp(reason))) => (End::Lost, Some(reason), false),
    };
    if let Some(reason) = reason {
        walker.note(reason);
    }
    let is_refused = raises && !walker.reaches_out;
    Ok(Walk { verdict: walker.verdict(), end, is_refused })
}

enum Halt {
    Stop(Stop),
    Jam(Jam),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Jam> for Halt {
    fn from(jam: Jam) -> Self {
        Self::Jam(jam)
    }
}

/// The argument of an opcode, as far as it matters.
enum Given {
    Nothing,
    /// Where the bytes of a text are; their number.
    Text {
        at: u64,
        length: u64,
    },
    /// A small number: a key of the memo.
    Number(u64),
    Lines {
        module: Vec<u8>,
        name: Vec<u8>,
    },
}

struct Walker<'a> {
    source: &'a dyn ReadAt,
    cursor: Cursor<'a>,
    machine: Machine,
    persistent: Persistent,
    /// Where the frame ends that was announced last. Readers that take a frame whole and readers that ignore it must agree.
    frame_end: u64,
    /// Imports that are known to run code.
    dangerous: BTreeSet<String>,
    /// Imports that are on no list.
    unlisted: BTreeSet<String>,
    /// Something was imported, or asked for outside of the stream.
    reaches_out: bool,
    /// The first thing that could not be followed.
    obstacle: Option<&'static str>,
}

impl Walker<'_> {
    fn verdict(self) -> Verdict {
        if !self.dangerous.is_empty() {
            return Verdict::Unsafe { imports: self.dangerous };
        }
        match self.obstacle {
            None if self.unlisted.is_empty() => Verdict::Clean,
            obstacle => Verdict::Unknown {
                reason: obstacle.unwrap_or("it imports what is on no list").to_owned(),
                imports: self.unlisted,
            },
        }
    }

    fn note(&mut self, obstacle: &'static str) {
        self.obstacle.get_or_insert(obstacle);
    }

    fn run(&mut self, budget: &mut u64) -> Result<(), Halt> {
        let mut first = true;
        loop {
            let start = self.cursor.position();
            let byte = self.cursor.byte()?;
            if first && byte != PROTOCOL {
                self.note("the stream does not state its protocol");
            } else if !first && byte == PROTOCOL {
                self.note("the stream states its protocol more than once");
            }
            first = false;
            let (argument, effect) = lookup(byte).ok_or(Jam::Raises("the stream has a byte that is no opcode"))?;
            let given = self.argument(byte, argument)?;
            self.keep_to_frame(start)?;
            let cost = match argument {
                Argument::Counted(_) => 1,
                _ => self.cursor.position() - start,
            };
            *budget = budget.checked_sub(cost).ok_or(Jam::GivesUp("the stream is too long to be followed"))?;
            match (byte, effect, &given) {
                (_, Effect::Stop, _) => {
                    self.machine.pop()?;
                    if self.cursor.position() < self.frame_end {
                        self.note("the stream stops inside a frame, and readers differ in where they go on");
                    }
                    return Ok(());
                }
                (_, Effect::Frame, Given::Number(length)) => self.open_frame(*length)?,
                (PROTOCOL, _, Given::Number(protocol)) if *protocol > NEWEST_PROTOCOL => {
                    return Err(Jam::Raises("the stream is of a protocol that does not exist").into());
                }
                _ => self.apply(effect, given)?,
            }
        }
    }

    /// Python 3 reads a frame whole before it goes on; what it says of its own length must be what its opcodes add up to.
    fn open_frame(&mut self, length: u64) -> Result<(), Halt> {
        self.cursor.expect(length)?;
        if self.cursor.position() < self.frame_end {
            self.note("a frame of the stream begins inside another one");
        }
        self.frame_end = self.cursor.position() + length;
        Ok(())
    }

    /// An opcode that began at `start` was read with its argument.
    fn keep_to_frame(&mut self, start: u64) -> Result<(), Halt> {
        if start < self.frame_end && self.frame_end < self.cursor.position() {
            self.note("a frame of the stream ends inside an opcode");
        }
        Ok(())
    }

    fn argument(&mut self, byte: u8, argument: Argument) -> Result<Given, Halt> {
        let at = self.cursor.position();
        Ok(match argument {
            Argument::Bytes(0) => Given::Nothing,
            Argument::Bytes(1) => Given::Number(u64::from(self.cursor.byte()?)),
            Argument::Bytes(4) => Given::Number(u64::from(self.cursor.u32()?)),
            Argument::Length => Given::Number(self.cursor.u64()?),
            Argument::Bytes(count) => {
                self.cursor.skip(count)?;
                Given::Nothing
            }
            Argument::Line => self.line_argument(byte, at)?,
            Argument::TwoLines => Given::Lines { module: self.line()?, name: self.line()? },
            Argument::Counted(width) => {
                let length = match width {
                    1 => u64::from(self.cursor.byte()?),
                    4 => u64::from(self.cursor.u32()?),
                    _ => self.cursor.u64()?,
                };
                let at = self.cursor.position();
                self.cursor.skip(length)?;
                Given::Text { at, length }
            }
        })
    }

    fn line(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(self.cursor.line(LINE_LIMIT_BYTES)?.ok_or(Jam::GivesUp("the stream has a line beyond all bounds"))?)
    }

    /// A line is a number for the memo, a text without escapes, or something that does not matter.
    fn line_argument(&mut self, byte: u8, at: u64) -> Result<Given, Halt> {
        let line = self.line()?;
        if is_refused_by_python(byte, &line) {
            return Err(Jam::Raises("the stream has a number or text that is none").into());
        }
        let number = std::str::from_utf8(&line).ok().and_then(|text| text.parse().ok());
        Ok(match number {
            _ if line.contains(&b'\\') => Given::Nothing,
            Some(number) => Given::Number(number),
            None => Given::Text { at, length: line.len() as u64 },
        })
    }

    fn apply(&mut self, effect: Effect, given: Given) -> Result<(), Halt> {
        match effect {
            Effect::Nothing | Effect::Stop | Effect::Frame => {}
            Effect::Mark => self.machine.push(Value::Mark)?,
            Effect::Pop => self.machine.pop_anything()?,
            Effect::PopToMark => drop(self.machine.pop_to_mark()?),
            Effect::Duplicate => self.machine.push(self.machine.top()?)?,
            Effect::Push => self.machine.push(Value::Other)?,
            Effect::PushText => self.machine.push(text_value(&given))?,
            Effect::Combine(count) => {
                self.machine.pop_many(count)?;
                self.machine.push(Value::Other)?;
            }
            Effect::CombineToMark => {
                self.machine.pop_to_mark()?;
                self.machine.push(Value::Other)?;
            }
            Effect::Put => self.machine.put(memo_key(&given)?)?,
            Effect::Memoize => self.machine.memoize()?,
            Effect::Get => self.machine.get(memo_key(&given)?)?,
            effect => self.apply_with_consequences(effect, given)?,
        }
        Ok(())
    }

    /// The opcodes by which a stream reaches outside its own values.
    fn apply_with_consequences(&mut self, effect: Effect, given: Given) -> Result<(), Halt> {
        match effect {
            Effect::Change(count) => {
                self.machine.pop_many(count)?;
                self.expect_own_value()?;
            }
            Effect::ChangeToMark => {
                self.machine.pop_to_mark()?;
                self.expect_own_value()?;
            }
            Effect::Call(count) => {
                self.machine.pop_many(count)?;
                let called = self.machine.pop()?;
                self.call(Some(called))?;
            }
            Effect::CallFromMark => {
                let called = self.machine.pop_to_mark()?;
                self.call(called)?;
            }
            Effect::Import => self.import_lines(&given)?,
            Effect::ImportAndCall => {
                self.machine.pop_to_mark()?;
                self.import_lines(&given)?;
                let called = self.machine.pop()?;
                self.call(Some(called))?;
            }
            Effect::ImportFromStack => self.import_from_stack()?,
            Effect::Persistent => {
                self.machine.pop()?;
                self.reaches_out = true;
                if self.persistent == Persistent::Nobody {
                    self.note("the stream asks for objects outside of it");
                }
                self.machine.push(Value::Other)?;
            }
            _ => {
                self.reaches_out = true;
                return Err(Jam::GivesUp("the stream reaches for an object outside of it").into());
            }
        }
        Ok(())
    }

    /// Changing an import instead of a value would change Python itself for everything that is loaded later.
    fn expect_own_value(&mut self) -> Result<(), Halt> {
        if matches!(self.machine.top()?, Value::Import | Value::Inert) {
            self.note("the stream changes what it imported");
        }
        Ok(())
    }

    fn call(&mut self, called: Option<Value>) -> Result<(), Halt> {
        if called != Some(Value::Import) {
            self.note("the stream calls something that may not be called");
        }
        Ok(self.machine.push(Value::Other)?)
    }

    fn import_lines(&mut self, given: &Given) -> Result<(), Halt> {
        let imported = match given {
            Given::Lines { module, name } => self.import(module, name),
            _ => self.import_unnamed("the stream imports something without a name"),
        };
        Ok(self.machine.push(imported)?)
    }

    fn import_from_stack(&mut self) -> Result<(), Halt> {
        let name = self.machine.pop()?;
        let module = self.machine.pop()?;
        let imported = match (self.text(module)?, self.text(name)?) {
            (Some(module), Some(name)) => self.import(&module, &name),
            _ => self.import_unnamed("the stream imports something whose name it computes"),
        };
        Ok(self.machine.push(imported)?)
    }

    fn text(&self, value: Value) -> Result<Option<Vec<u8>>, Halt> {
        let Value::Text { at, length } = value else { return Ok(None) };
        let mut bytes = vec![0; length as usize];
        let read = read_available(self.source, &mut bytes, at).map_err(Stop::Io)?;
        Ok((read == bytes.len()).then_some(bytes))
    }

    fn import_unnamed(&mut self, obstacle: &'static str) -> Value {
        self.reaches_out = true;
        self.note(obstacle);
        Value::Import
    }

    fn import(&mut self, module: &[u8], name: &[u8]) -> Value {
        self.reaches_out = true;
        let module = String::from_utf8_lossy(module);
        let name = String::from_utf8_lossy(name);
        let found = match standing(&module, &name) {
            Standing::Allowed => return Value::Import,
            Standing::Inert => return Value::Inert,
            Standing::Unknown => &mut self.unlisted,
            Standing::Dangerous => &mut self.dangerous,
        };
        if found.len() < NAMED_LIMIT {
            let shown: String = format!("{module}.{name}").chars().take(200).collect();
            found.insert(shown.escape_debug().to_string());
        }
        Value::Import
    }
}

/// Whether Python raises an error on the line of this opcode. What is said of a line holds for all versions of Python.
fn is_refused_by_python(byte: u8, line: &[u8]) -> bool {
    let odd = |byte: &u8| !(byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+-_.\x0b".contains(byte));
    match byte {
        b'F' | b'I' | b'L' => line.is_empty() || (line.iter().any(odd) && !line.contains(&0)),
        b'S' => !matches!(line.first(), Some(b'\'' | b'"')),
        _ => false,
    }
}

fn text_value(given: &Given) -> Value {
    match *given {
        Given::Text { at, length } if length <= NAME_LIMIT_BYTES => Value::Text { at, length: length as u32 },
        _ => Value::Other,
    }
}

fn memo_key(given: &Given) -> Result<u64, Jam> {
    match given {
        Given::Number(key) => Ok(*key),
        _ => Err(Jam::GivesUp("the stream numbers its memo with something that is no number")),
    }
}
