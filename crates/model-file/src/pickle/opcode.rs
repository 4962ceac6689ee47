//! The opcodes of pickle protocols 0 to 5: what follows each in the stream, and what it does to the stack.

/// What follows an opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// This many bytes.
    Bytes(u64),
    /// A length of 8 bytes, without what it counts.
    Length,
    /// Text up to a line feed.
    Line,
    /// Two such lines: a module and a name.
    TwoLines,
    /// A length of this many bytes, then that many bytes.
    Counted(u8),
}

/// What an opcode does to the stack machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Mark,
    Stop,
    Pop,
    PopToMark,
    Duplicate,
    /// Pushes a value that is neither a text nor an import.
    Push,
    /// Pushes the argument as a text.
    PushText,
    /// Takes so many values and pushes one made of them.
    Combine(usize),
    /// The same with everything above the last mark.
    CombineToMark,
    /// Takes so many values and changes the one below.
    Change(usize),
    /// The same with everything above the last mark.
    ChangeToMark,
    /// Takes so many values and calls the one below.
    Call(usize),
    /// Calls the first value above the last mark with the others.
    CallFromMark,
    /// Imports what the two lines name.
    Import,
    /// Imports what the two lines name, and calls it with everything above the last mark.
    ImportAndCall,
    /// Imports what the two topmost texts name.
    ImportFromStack,
    /// Asks for a persistent id taken from the stack.
    Persistent,
    /// Writes the topmost value into the memo, under the argument.
    Put,
    /// The same under the next free number.
    Memoize,
    /// Pushes from the memo.
    Get,
    /// Announces how many bytes follow that a reader may take at once.
    Frame,
    /// Hands over to something outside the stream: extension registry, textual persistent ids, buffers.
    Outside,
}

/// Looks up an opcode; `None` for a byte that is none.
pub(super) fn lookup(byte: u8) -> Option<(Argument, Effect)> {
    use Argument::{Bytes, Counted, Line, TwoLines};
    use Effect as Do;
    Some(match byte {
        b'(' => (Bytes(0), Do::Mark),
        b'.' => (Bytes(0), Do::Stop),
        b'0' => (Bytes(0), Do::Pop),
        b'1' => (Bytes(0), Do::PopToMark),
        b'2' => (Bytes(0), Do::Duplicate),
        b'F' | b'I' | b'L' | b'S' => (Line, Do::Push),
        b'J' => (Bytes(4), Do::Push),
        b'K' => (Bytes(1), Do::Push),
        b'M' => (Bytes(2), Do::Push),
        b'G' => (Bytes(8), Do::Push),
        b'N' | b'}' | b']' | b')' | 0x88 | 0x89 | 0x8f => (Bytes(0), Do::Push),
        b'V' => (Line, Do::PushText),
        b'U' | 0x8c => (Counted(1), Do::PushText),
        b'T' | b'X' => (Counted(4), Do::PushText),
        0x8d => (Counted(8), Do::PushText),
        b'C' | 0x8a => (Counted(1), Do::Push),
        b'B' | 0x8b => (Counted(4), Do::Push),
        0x8e | 0x96 => (Counted(8), Do::Push),
        b'a' | b'b' => (Bytes(0), Do::Change(1)),
        b's' => (Bytes(0), Do::Change(2)),
        b'e' | b'u' | 0x90 => (Bytes(0), Do::ChangeToMark),
        b'd' | b'l' | b't' | 0x91 => (Bytes(0), Do::CombineToMark),
        0x85 => (Bytes(0), Do::Combine(1)),
        0x86 => (Bytes(0), Do::Combine(2)),
        0x87 => (Bytes(0), Do::Combine(3)),
        b'R' | 0x81 => (Bytes(0), Do::Call(1)),
        0x92 => (Bytes(0), Do::Call(2)),
        b'o' => (Bytes(0), Do::CallFromMark),
        b'c' => (TwoLines, Do::Import),
        b'i' => (TwoLines, Do::ImportAndCall),
        0x93 => (Bytes(0), Do::ImportFromStack),
        b'Q' => (Bytes(0), Do::Persistent),
        b'p' => (Line, Do::Put),
        b'q' => (Bytes(1), Do::Put),
        b'r' => (Bytes(4), Do::Put),
        0x94 => (Bytes(0), Do::Memoize),
        b'g' => (Line, Do::Get),
        b'h' => (Bytes(1), Do::Get),
        b'j' => (Bytes(4), Do::Get),
        0x80 => (Bytes(1), Do::Nothing),
        0x95 => (Argument::Length, Do::Frame),
        b'P' => (Line, Do::Outside),
        0x82 => (Bytes(1), Do::Outside),
        0x83 => (Bytes(2), Do::Outside),
        0x84 => (Bytes(4), Do::Outside),
        0x97 | 0x98 => (Bytes(0), Do::Outside),
        _ => return None,
    })
}
