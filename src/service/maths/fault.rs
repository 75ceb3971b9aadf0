//! Why a text has no value: found cheaply, told in full only when somebody asks.
//!
//! Promises: a message says what was found, where, and what to write; it repeats at most
//! `ECHO_BYTES_MAX` bytes of the text, escaped, and costs no allocation until it is written.
//! Leaves out: finding the fault (grammar.rs, diagnosis.rs, functions.rs).

use core::fmt::{self, Write};

use super::diagnosis;
use super::functions;
use super::reference::Entry;
use super::value::Value;
use crate::limits::{ECHO_BYTES_MAX, EXPRESSION_BYTES_MAX};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    /// This, where `@` stands for what was found, and `#` for its column.
    Say(&'static str),
    /// A character that is not ASCII, with what to write for it.
    Write(&'static str),
    /// An operator between two values, with the place of the left one.
    TimesMissing(u16, u16),
    UnknownName,
    UnknownFunction,
    /// A function without its arguments.
    NotCalled(&'static Entry),
    /// The wrong number of arguments: this one.
    Arity(&'static Entry, u16),
    /// An argument outside of the domain of a function that is not named yet.
    Outside,
    Domain(&'static Entry),
}

impl Reason {
    pub(super) const OVERFLOW: Reason = Reason::Say("\"@\" is too large: numbers end at 1.797e308");
    pub(super) const DIVISION_BY_ZERO: Reason = Reason::Say("\"@\" divides by zero");
}

/// What is wrong, and the bytes that show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    start: u16,
    end: u16,
}

/// There is a fault, and the scanner keeps it: an error without a weight of its own, because
/// every step of an evaluation returns one or a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed;

impl Fault {
    pub(super) fn new(reason: Reason, start: usize, end: usize) -> Fault {
        Fault { reason, start: start as u16, end: end as u16 }
    }
}

const _: () = assert!(EXPRESSION_BYTES_MAX < u16::MAX as usize);

/// A text that has no value: where, and as `Display` the message for people.
///
/// The message names the place as a column that counts characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct BadExpression {
    reason: Reason,
    position: u16,
    column: u16,
    found: Echo,
    /// What stands to the left of `found`, or the name that was perhaps meant.
    other: Echo,
}

impl BadExpression {
    #[cold]
    pub(super) fn new(
        fault: Option<Fault>,
        text: &str,
        variables: &[(&str, Value)],
    ) -> BadExpression {
        let fault = fault.unwrap_or(Fault::new(Reason::Outside, 0, 0));
        let span = |start: u16, end: u16| {
            text.as_bytes().get(usize::from(start)..usize::from(end)).unwrap_or_default()
        };
        let found = match (fault.reason, span(fault.start, fault.end)) {
            (Reason::TimesMissing(..), b"(") => b"(...)",
            (_, found) => found,
        };
        let other = match fault.reason {
            Reason::TimesMissing(start, end) => match span(start, end) {
                b")" => b"(...)",
                left => left,
            },
            Reason::UnknownName => diagnosis::nearest(found, variables).unwrap_or_default(),
            Reason::UnknownFunction => diagnosis::nearest(found, &[]).unwrap_or_default(),
            _ => &[],
        };
        let limit = if other.is_empty() { ECHO_BYTES_MAX } else { ECHO_BYTES_MAX / 2 };
        let before = span(0, fault.start);
        BadExpression {
            reason: fault.reason,
            position: fault.start,
            column: 1 + before.iter().filter(|&&byte| !is_continuation(byte)).count() as u16,
            found: Echo::new(found, limit),
            other: Echo::new(other, limit),
        }
    }

    /// The 0-based offset of the byte where the fault is: that of the operator or function that
    /// has no result, or that lacks a value; that of what should not be there.
    pub fn position(&self) -> usize {
        usize::from(self.position)
    }
}

/// Is this byte the second or a later one of a character in UTF-8?
fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// A few bytes of the caller's text, which are escaped when they are written.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Echo {
    bytes: [u8; ECHO_BYTES_MAX],
    length: u8,
    cut: bool,
}

impl Echo {
    fn new(text: &[u8], limit: usize) -> Echo {
        let mut bytes = [0; ECHO_BYTES_MAX];
        let length = text.len().min(limit);
        bytes.iter_mut().zip(text).take(length).for_each(|(to, from)| *to = *from);
        Echo { bytes, length: length as u8, cut: length < text.len() }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.bytes().escape_ascii(), if self.cut { "..." } else { "" })
    }
}

impl fmt::Display for BadExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadExpression { found, other, .. } = self;
        match self.reason {
            Reason::Say(template) => return self.fill(f, template),
            Reason::Write(ascii) => write!(f, "\"{found}\" is not ASCII: write {ascii}")?,
            Reason::TimesMissing(..) => write!(f, "use * to multiply: {other}*{found}")?,
            Reason::UnknownName => write!(f, "unknown name \"{found}\"")?,
            Reason::UnknownFunction => write!(f, "unknown function \"{found}\"")?,
            Reason::NotCalled(entry) => write!(f, "{found} is a function: write {}", entry.form)?,
            Reason::Arity(entry, given) => {
                write!(f, "{found} takes {}, {given} given", Taken(entry))?;
            }
            Reason::Domain(entry) => {
                write!(f, "{} has no value here: {}", entry.form, entry.about)?
            }
            Reason::Outside => write!(f, "{found} has no value here")?,
        }
        if matches!(self.reason, Reason::UnknownName | Reason::UnknownFunction) && other.length > 0
        {
            write!(f, ": did you mean {other}?")?;
        }
        write!(f, " (column {})", self.column)
    }
}

impl BadExpression {
    fn fill(&self, f: &mut fmt::Formatter<'_>, template: &str) -> fmt::Result {
        for character in template.chars() {
            match character {
                '@' => write!(f, "{}", self.found)?,
                '#' => write!(f, "{}", self.column)?,
                _ => f.write_char(character)?,
            }
        }
        if template.contains('#') { Ok(()) } else { write!(f, " (column {})", self.column) }
    }
}

/// How many arguments a function takes, in words.
struct Taken(&'static Entry);

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.name().as_bytes();
        match functions::find(name).map_or((0, 0), functions::Function::arity) {
            (1, 1) => f.write_str("1 argument"),
            (least, usize::MAX) => write!(f, "{least} argument or more"),
            (least, most) if least < most => write!(f, "{least} or {most} arguments"),
            (_, most) => write!(f, "{most} arguments"),
        }
    }
}
