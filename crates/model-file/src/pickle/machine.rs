//! The stack and the memo of the pickle machine, holding placeholders: where a text is in the stream, that a value is an import,
//! and nothing of any other value.

use std::collections::HashMap;

/// Deeper stacks than any writer builds.
const STACK_LIMIT: usize = 1 << 20;
const MEMO_LIMIT: usize = 500_000;

/// What is known of a value on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Mark,
    /// A text of the stream: its offset and its length in bytes.
    Text {
        at: u64,
        length: u32,
    },
    /// Something imported by name.
    Import,
    /// The same, but nobody may call it.
    Inert,
    Other,
}

/// Why the machine cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jam {
    /// Python raises an error here.
    Raises(&'static str),
    /// Python may go on.
    GivesUp(&'static str),
}

const UNDERFLOW: Jam = Jam::Raises("the stream takes more from the stack than there is");

/// Stack and memo.
#[derive(Default)]
pub(super) struct Machine {
    stack: Vec<Value>,
    /// Only texts and imports; every other value would be a placeholder without content.
    memo: HashMap<u64, Value>,
    /// How many values were written under the next free number.
    memoized: u64,
    /// Values were written under numbers of the stream's own choice.
    put: bool,
}

impl Machine {
    pub(super) fn push(&mut self, value: Value) -> Result<(), Jam> {
        if self.stack.len() == STACK_LIMIT {
            return Err(Jam::GivesUp("the stream fills the stack beyond all bounds"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// Takes the topmost value, which must not be a mark.
    pub(super) fn pop(&mut self) -> Result<Value, Jam> {
        match self.stack.pop() {
            Some(Value::Mark) | None => Err(UNDERFLOW),
            Some(value) => Ok(value),
        }
    }

    /// Takes the topmost value or mark.
    pub(super) fn pop_anything(&mut self) -> Result<(), Jam> {
        self.stack.pop().map(|_| ()).ok_or(UNDERFLOW)
    }

    /// Takes several values.
    pub(super) fn pop_many(&mut self, count: usize) -> Result<(), Jam> {
        (0..count).try_for_each(|_| self.pop().map(|_| ()))
    }

    /// Takes everything down to the last mark, and the mark; returns the first value above it.
    pub(super) fn pop_to_mark(&mut self) -> Result<Option<Value>, Jam> {
        let mark = self.stack.iter().rposition(|value| *value == Value::Mark).ok_or(UNDERFLOW)?;
        let first = self.stack.get(mark + 1).copied();
        self.stack.truncate(mark);
        Ok(first)
    }

    /// The topmost value, which must not be a mark.
    pub(super) fn top(&self) -> Result<Value, Jam> {
        match self.stack.last() {
            Some(Value::Mark) | None => Err(UNDERFLOW),
            Some(value) => Ok(*value),
        }
    }

    /// Writes the topmost value under a number of the stream's choice.
    pub(super) fn put(&mut self, key: u64) -> Result<(), Jam> {
        self.put = true;
        self.remember(key)
    }

    /// Writes the topmost value under the next free number.
    pub(super) fn memoize(&mut self) -> Result<(), Jam> {
        let key = self.memoized;
        self.memoized += 1;
        self.remember(key)
    }

    /// Pushes what the memo holds.
    pub(super) fn get(&mut self, key: u64) -> Result<(), Jam> {
        let value = self.memo.get(&key).copied().unwrap_or(Value::Other);
        self.push(value)
    }

    fn remember(&mut self, key: u64) -> Result<(), Jam> {
        // Which number is free next depends on all numbers used before; no writer mixes the two.
        if self.put && self.memoized > 0 {
            return Err(Jam::GivesUp("the stream numbers its memo in two ways"));
        }
        match self.top()? {
            Value::Other | Value::Mark => {
                self.memo.remove(&key);
            }
            value => {
                if self.memo.len() == MEMO_LIMIT {
                    return Err(Jam::GivesUp("the stream fills the memo beyond all bounds"));
                }
                self.memo.insert(key, value);
            }
        }
        Ok(())
    }
}
