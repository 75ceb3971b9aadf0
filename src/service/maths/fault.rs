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
use crate::limits::{ECHO_BYTES_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    // The text as a whole.
    Blank,
    TooLong,
    TooDeep,
    TooMuchWork,
    // Its shape.
    MissingAfter,
    MissingBefore,
    EmptyGroup,
    Unclosed,
    Unopened,
    /// With the place of what stands to the left.
    TimesMissing(u16, u16),
    TwoNumbers,
    Percent,
    BangFirst,
    DoubleSlash,
    Comma,
    // Its numbers.
    LonelyPoint,
    SecondPoint,
    Underscore,
    Exponent,
    Octal,
    RadixDigit(u32),
    RadixTooLong,
    NumberTooLarge,
    // Characters of other languages.
    Equals,
    Comparison,
    Logic,
    Semicolon,
    Bracket,
    Quote,
    Lookalike(char),
    Foreign,
    // Its names.
    UnknownName,
    UnknownFunction,
    NotCalled(&'static Entry),
    AmbiguousLog,
    /// With the number of arguments given.
    Arity(&'static Entry, u16),
    // Its values.
    DivisionByZero,
    Overflow,
    NegativeBase,
    Factorial,
    /// An argument outside of the domain of a function that is not named yet.
    Outside,
    Domain(&'static Entry),
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
        let fault = fault.unwrap_or(Fault::new(Reason::Blank, 0, 0));
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
    length: usize,
    cut: bool,
}

impl Echo {
    fn new(text: &[u8], limit: usize) -> Echo {
        let mut bytes = [0; ECHO_BYTES_MAX];
        let length = text.len().min(limit);
        bytes.iter_mut().zip(text).take(length).for_each(|(to, from)| *to = *from);
        Echo { bytes, length, cut: length < text.len() }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.bytes().escape_ascii(), if self.cut { "..." } else { "" })
    }
}

impl fmt::Display for BadExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::TooLong => {
                write!(f, "the expression has more than {EXPRESSION_BYTES_MAX} bytes")?
            }
            Reason::TooDeep => write!(f, "more than {EXPRESSION_DEPTH_MAX} levels of ( ) and ^")?,
            Reason::NotCalled(entry) => {
                write!(f, "{} is a function: write {}", self.found, entry.form)?
            }
            Reason::Arity(entry, given) => {
                write!(f, "{} takes {}, {given} given", self.found, Taken(entry))?;
            }
            Reason::Domain(entry) => {
                write!(f, "{} has no value here: {}", entry.form, entry.about)?
            }
            Reason::Lookalike(character) => {
                let ascii = diagnosis::ascii_for(character).unwrap_or_default();
                write!(f, "\"{}\" is not ASCII: write {ascii}", self.found)?;
            }
            Reason::UnknownFunction if self.other.length == 0 => {
                write!(f, "unknown function \"{}\"", self.found)?;
            }
            Reason::UnknownName if self.other.length == 0 => {
                write!(f, "unknown name \"{}\"", self.found)?
            }
            Reason::Unclosed => {
                return write!(f, "\"(\" at column {} is never closed", self.column);
            }
            reason => self.fill(f, template(reason))?,
        }
        match self.reason {
            Reason::Blank | Reason::TooLong => Ok(()),
            _ => write!(f, " (column {})", self.column),
        }
    }
}

impl BadExpression {
    /// Writes a template: `@` stands for what was found, `~` for the other text.
    fn fill(&self, f: &mut fmt::Formatter<'_>, template: &str) -> fmt::Result {
        for character in template.chars() {
            match character {
                '@' => write!(f, "{}", self.found)?,
                '~' => write!(f, "{}", self.other)?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
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

/// The messages that need no more than what was found.
fn template(reason: Reason) -> &'static str {
    match reason {
        Reason::Blank => "the expression is empty: write one, such as 2*(3+4)",
        Reason::TooMuchWork => "too much work for one expression: split it in two",
        Reason::MissingAfter => "a value is missing after \"@\"",
        Reason::MissingBefore => "a value is missing before \"@\"",
        Reason::EmptyGroup => "nothing stands between ( and )",
        Reason::Unopened => "\"@\" closes nothing",
        Reason::TimesMissing(..) => "use * to multiply: ~*@",
        Reason::TwoNumbers => "two numbers in a row: write an operator between them, or no blank",
        Reason::Percent => "% is the remainder; for ten percent write 10/100",
        Reason::BangFirst => "! stands after its number: write 5!",
        Reason::DoubleSlash => "// is no operator: write floor(a/b)",
        Reason::Comma => "a comma separates arguments: write 1234.5 for a number",
        Reason::LonelyPoint => "a point needs a digit beside it: write 0.5",
        Reason::SecondPoint => "a number has one point: write 1234.5",
        Reason::Underscore => "a number has no _: write 1000",
        Reason::Exponent => "\"@\" is not finished: write digits after the e, as in 1e3",
        Reason::Octal => "octal numbers are not known: write 0x1F, 0b101 or decimal digits",
        Reason::RadixDigit(16) => "0x takes the digits 0 to 9 and a to f: write 0x1F",
        Reason::RadixDigit(_) => "0b takes the digits 0 and 1: write 0b101",
        Reason::RadixTooLong => "a number with 0x or 0b has at most 127 bits",
        Reason::NumberTooLarge => "\"@\" is too large: numbers end at 1.797e308",
        Reason::Equals => "\"=\" is not known: write only what is to be computed",
        Reason::Comparison => {
            "\"@\" compares; only numbers are computed: write max(a, b) or sign(a-b)"
        }
        Reason::Logic => "\"@\" is not known: there are no logic or bit operators",
        Reason::Semicolon => "\"@\" is not known: write a comma between arguments",
        Reason::Bracket => "\"@\" is not known: write ( and )",
        Reason::Quote => "\"@\" is not known: only numbers are computed, no text",
        Reason::UnknownName => "unknown name \"@\": did you mean ~?",
        Reason::UnknownFunction => "unknown function \"@\": did you mean ~?",
        Reason::AmbiguousLog => "log: write ln(x), log10(x), log2(x) or log(x, base)",
        Reason::DivisionByZero => "\"@\" divides by zero",
        Reason::Overflow => "\"@\" is too large: numbers end at 1.797e308",
        Reason::NegativeBase => "a power of a negative number needs a whole exponent",
        Reason::Factorial => "! takes whole numbers from 0 to 170: for others write gamma(x+1)",
        _ => "\"@\" is not known here",
    }
}
