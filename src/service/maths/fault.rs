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

#[cfg(test)]
mod tests {
    use super::super::evaluate;
    use super::*;

    /// Text, 0-based position, message.
    const MESSAGES: [(&str, usize, &str); 40] = [
        ("  ", 0, "the expression is empty: write one, such as 2*(3+4) (column 1)"),
        ("1+sine(2)", 2, "unknown function \"sine\": did you mean sin? (column 3)"),
        ("2*alhpa", 2, "unknown name \"alhpa\": did you mean alpha? (column 3)"),
        ("qwertz", 0, "unknown name \"qwertz\" (column 1)"),
        ("cosine(1)", 0, "unknown function \"cosine\": did you mean cos? (column 1)"),
        ("PI", 0, "unknown name \"PI\": did you mean pi? (column 1)"),
        ("2pi", 1, "use * to multiply: 2*pi (column 2)"),
        ("2 (3)", 2, "use * to multiply: 2*(...) (column 3)"),
        ("(1)(2)", 3, "use * to multiply: (...)*(...) (column 4)"),
        ("10%", 2, "% is the remainder; for ten percent write 10/100 (column 3)"),
        ("10% * 2", 2, "% is the remainder; for ten percent write 10/100 (column 3)"),
        ("log(2)", 0, "log: write ln(x), log10(x), log2(x) or log(x, base) (column 1)"),
        ("(1+2", 0, "\"(\" at column 1 is never closed"),
        ("max(1, 2", 3, "\"(\" at column 4 is never closed"),
        ("1)", 1, "\")\" closes nothing (column 2)"),
        ("atan2(1)", 0, "atan2 takes 2 arguments, 1 given (column 1)"),
        ("min()", 0, "min takes 1 argument or more, 0 given (column 1)"),
        ("sin 1", 0, "sin is a function: write sin(x) (column 1)"),
        ("x = 2", 2, "\"=\" is not known: write only what is to be computed (column 3)"),
        ("1,000", 1, "a comma separates arguments: write 1234.5 for a number (column 2)"),
        (
            "1 000",
            2,
            "two numbers in a row: write an operator between them, or no blank (column 3)",
        ),
        ("6×7", 1, "\"\\xc3\\x97\" is not ASCII: write * (column 2)"),
        ("×+6÷7", 0, "\"\\xc3\\x97\" is not ASCII: write * (column 1)"),
        ("1 − 2", 2, "\"\\xe2\\x88\\x92\" is not ASCII: write - (column 3)"),
        ("7//2", 2, "// is no operator: write floor(a/b) (column 3)"),
        ("1&&2", 1, "\"&\" is not known: there are no logic or bit operators (column 2)"),
        ("1+", 1, "a value is missing after \"+\" (column 2)"),
        ("2**", 1, "a value is missing after \"**\" (column 2)"),
        ("*2", 0, "a value is missing before \"*\" (column 1)"),
        ("!5", 0, "! stands after its number: write 5! (column 1)"),
        ("()", 0, "nothing stands between ( and ) (column 1)"),
        ("1e", 0, "\"1e\" is not finished: write digits after the e, as in 1e3 (column 1)"),
        ("0x", 2, "0x takes the digits 0 to 9 and a to f: write 0x1F (column 3)"),
        ("1.2.3", 3, "a number has one point: write 1234.5 (column 4)"),
        ("1/(2-2)", 1, "\"/\" divides by zero (column 2)"),
        ("0*(1e200*1e200)", 8, "\"*\" is too large: numbers end at 1.797e308 (column 9)"),
        ("sqrt(-1)", 0, "sqrt(x) has no value here: square root, for x from 0 up (column 1)"),
        ("acosh(-5)", 0, "acosh(x) has no value here: inverse of cosh, x from 1 up (column 1)"),
        ("(-8)^(1/3)", 4, "a power of a negative number needs a whole exponent (column 5)"),
        ("2.5!", 3, "! takes whole numbers from 0 to 170: for others write gamma(x+1) (column 4)"),
    ];

    #[test]
    fn messages_say_what_was_found_where_and_what_to_write() {
        for (text, position, message) in MESSAGES {
            let error = evaluate(text, &[("x", Value::Integer(1)), ("alpha", Value::Integer(1))]);
            let error = error.expect_err(text);
            assert_eq!(
                (error.position(), error.to_string().as_str()),
                (position, message),
                "{text}"
            );
        }
    }

    #[test]
    fn little_of_the_text_is_repeated_and_that_is_escaped() {
        for text in
            ["a".repeat(4000), format!("2{}", "b".repeat(4000)), "\u{7}\n\u{1b}[2J".repeat(9)]
        {
            let message = evaluate(&text, &[("a", Value::Integer(1))]).unwrap_err().to_string();
            assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
            let echoed = message.matches(['a', 'b']).count();
            assert!(echoed < ECHO_BYTES_MAX + 20, "{message}");
        }
    }
}
