//! The messages of errors, for people.
//!
//! Promises: a message says what was found, where, and what to write instead; it repeats at most
//! `ECHO_BYTES_MAX` bytes of the expression, those escaped that are not printed; an error allocates
//! no memory.
//! Leaves out: the detection of errors.

use core::fmt;

use super::builtins::{self, Function};
use super::error::{Error, ErrorKind};
use super::suggestions;
use super::value::Value;
use crate::limits::{ECHO_BYTES_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

/// An expression without a value: the position of the error, and the message as `Display`.
///
/// The message names the position as a column, which counts characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct BadExpression {
    kind: ErrorKind,
    position: u16,
    column: u16,
    found: Echo,
    /// The operand to the left of `found`, or the name that is similar to it.
    other: Echo,
}

impl BadExpression {
    #[cold]
    pub(super) fn new(error: Error, text: &str, variables: &[(&str, Value)]) -> BadExpression {
        let Error { kind, start, end } = error;
        let bytes = |start: u16, end: u16| {
            text.as_bytes().get(usize::from(start)..usize::from(end)).unwrap_or_default()
        };
        let found = match (kind, bytes(start, end)) {
            (ErrorKind::OperatorMissing(..), b"(") => b"(...)",
            (ErrorKind::UnknownName, _) => word(text, usize::from(start)),
            (_, found) => found,
        };
        let other = match kind {
            ErrorKind::OperatorMissing(start, end) => match bytes(start, end) {
                b")" => b"(...)",
                left => left,
            },
            ErrorKind::UnknownName => suggestions::nearest(found, variables).unwrap_or_default(),
            ErrorKind::UnknownFunction => suggestions::nearest(found, &[]).unwrap_or_default(),
            _ => &[],
        };
        let limit = if other.is_empty() { ECHO_BYTES_MAX } else { ECHO_BYTES_MAX / 2 };
        let is_first_of_character = |byte: &&u8| **byte & 0xC0 != 0x80;
        let before = bytes(0, start).iter().filter(is_first_of_character).count();
        BadExpression {
            kind,
            position: start,
            column: 1 + before as u16,
            found: Echo::new(found, limit),
            other: Echo::new(other, limit),
        }
    }

    /// The offset in bytes of the error: of the operator or function that has no result or lacks
    /// an operand, or of the unexpected text.
    pub fn position(&self) -> usize {
        usize::from(self.position)
    }
}

/// The word that begins at a byte, with its letters that are not ASCII: no name has any.
fn word(text: &str, start: usize) -> &[u8] {
    let rest = text.get(start..).unwrap_or_default();
    let is_part = |c: char| c.is_alphabetic() || c.is_ascii_digit() || c == '_';
    rest.split(|c| !is_part(c)).next().unwrap_or_default().as_bytes()
}

/// A few bytes of the expression, which are escaped when they are written.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Echo {
    bytes: [u8; ECHO_BYTES_MAX],
    length: u8,
    is_cut: bool,
}

impl Echo {
    fn new(text: &[u8], limit: usize) -> Echo {
        let mut bytes = [0; ECHO_BYTES_MAX];
        let length = text.len().min(limit);
        bytes.iter_mut().zip(text).take(length).for_each(|(to, from)| *to = *from);
        Echo { bytes, length: length as u8, is_cut: length < text.len() }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                write!(f, "{}", character.escape_debug())?;
            }
            // Of a character that is cut, nothing is shown.
            let broken = if self.is_cut { &[] } else { chunk.invalid() };
            write!(f, "{}", broken.escape_ascii())?;
        }
        f.write_str(if self.is_cut { "..." } else { "" })
    }
}

impl fmt::Display for BadExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadExpression { found, other, .. } = self;
        match (self.kind, builtins::find(found.bytes())) {
            (ErrorKind::OperatorMissing(..), _) => write!(f, "use * to multiply: {other}*{found}")?,
            (ErrorKind::FunctionWithoutCall, Some(Function { entry, .. })) => {
                write!(f, "{found} is a function: write {}", entry.form)?;
            }
            (ErrorKind::Domain, Some(Function { entry, .. })) => {
                write!(f, "domain error in {}: {}", entry.form, entry.about)?;
            }
            (ErrorKind::ArgumentCount(given), Some(function)) => {
                match (*function.arity.start(), *function.arity.end()) {
                    (1, 1) => write!(f, "{found} takes 1 argument, {given} given")?,
                    (1, usize::MAX) => {
                        write!(f, "{found} takes 1 argument or more, {given} given")?
                    }
                    (_, most) => write!(f, "{found} takes {most} arguments, {given} given")?,
                }
            }
            (kind, _) => {
                for (index, part) in template(kind, found.bytes()).split('@').enumerate() {
                    if index > 0 {
                        write!(f, "{found}")?;
                    }
                    f.write_str(part)?;
                }
            }
        }
        if matches!(self.kind, ErrorKind::UnknownName | ErrorKind::UnknownFunction)
            && other.length > 0
        {
            write!(f, ": did you mean {other}?")?;
        }
        write!(f, " (column {})", self.column)
    }
}

/// The message, where `@` stands for the text that was found.
fn template(kind: ErrorKind, found: &[u8]) -> &'static str {
    use ErrorKind::*;
    match kind {
        LengthLimit => "an expression has at most 4096 bytes",
        DepthLimit => "( ) and ^ are at most 64 levels deep",
        WorkLimit => "too much work for one expression: split it in two",
        Overflow => "\"@\" overflows: the largest number is 1.797e308",
        DivisionByZero => "\"@\" divides by zero",
        FactorialDomain => "! takes integers from 0 to 170: for other numbers write gamma(x+1)",
        NegativeBase => "a power of a negative number needs an integer exponent",
        LogWithoutBase => "log: write ln(x), log10(x), log2(x) or log(x, base)",
        UnknownName => "unknown name \"@\"",
        UnknownFunction => "unknown function \"@\"",
        PointWithoutDigit => "a decimal point needs a digit beside it: write 0.5",
        ExponentWithoutDigit => "\"@\" has no digits after the e: write an exponent, as in 1e3",
        HexadecimalDigit => "0x takes the digits 0 to 9 and a to f: write 0x1F",
        BinaryDigit => "0b takes the digits 0 and 1: write 0b101",
        Octal => "octal numbers are unknown: write 0x1F, 0b101 or decimal digits",
        RadixOverflow => "a number with 0x or 0b has at most 127 bits",
        SecondPoint => "a number has one decimal point: write 1234.5",
        DigitSeparator => "a number has no _: write 1000",
        Empty => "the expression is empty: write one, such as 2*(3+4)",
        EmptyParentheses => "the parentheses are empty: write an operand between them",
        PercentSign => "% is the remainder; for ten percent write 10/100",
        FloorDivision => "// is not an operator: write floor(a/b)",
        PrefixFactorial => "! stands after its operand: write 5!",
        OperandMissingBefore => "an operand is missing before \"@\"",
        OperandMissingAfter => "an operand is missing after \"@\"",
        AdjacentNumbers => "two numbers in a row: write an operator between them, or no blank",
        StrayComma => "a comma separates arguments: write 1234.5 for a number",
        UnclosedParenthesis => "\"@\" has no matching \")\"",
        UnopenedParenthesis => "\"@\" has no matching \"(\"",
        UnknownCharacter => unknown_character(found),
        // `Display` writes these; without the name of a function there is no more to say.
        Domain | ArgumentCount(_) | FunctionWithoutCall | OperatorMissing(..) => {
            "\"@\" has no value"
        }
    }
}

const _: () = assert!(EXPRESSION_BYTES_MAX == 4096 && EXPRESSION_DEPTH_MAX == 64);

fn unknown_character(found: &[u8]) -> &'static str {
    match core::str::from_utf8(found).unwrap_or_default() {
        "=" => "\"=\" is unknown: write only the expression to evaluate",
        "<" | ">" => "\"@\" is unknown: for comparisons write max(a, b) or sign(a-b)",
        "&" | "|" | "~" => "\"@\" is unknown: there are no logical or bitwise operators",
        ";" => "\"@\" is unknown: write a comma between arguments",
        "[" | "]" | "{" | "}" => "\"@\" is unknown: write ( and )",
        "\"" | "'" | "`" => "\"@\" is unknown: there are only numbers, no strings",
        "×" | "·" | "∙" | "⋅" | "∗" | "✕" | "✖" => "\"@\" is not ASCII: write *",
        "÷" | "∕" | "⁄" => "\"@\" is not ASCII: write /",
        "−" | "–" | "—" | "‐" | "‑" | "－" => "\"@\" is not ASCII: write -",
        "＋" => "\"@\" is not ASCII: write +",
        "（" => "\"@\" is not ASCII: write (",
        "）" => "\"@\" is not ASCII: write )",
        "²" => "\"@\" is not ASCII: write ^2",
        "³" => "\"@\" is not ASCII: write ^3",
        "√" => "\"@\" is not ASCII: write sqrt(x)",
        "∛" => "\"@\" is not ASCII: write cbrt(x)",
        "π" => "\"@\" is not ASCII: write pi",
        "τ" => "\"@\" is not ASCII: write tau",
        "½" => "\"@\" is not ASCII: write 1/2",
        "¼" => "\"@\" is not ASCII: write 1/4",
        "\u{a0}" | "\u{2009}" | "\u{202f}" | "\u{3000}" | "\u{feff}" => {
            "\"@\" is not ASCII: write a blank"
        }
        _ => "\"@\" is not known here",
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
        ("(1+2", 0, "\"(\" has no matching \")\" (column 1)"),
        ("max(1, 2", 3, "\"(\" has no matching \")\" (column 4)"),
        ("1)", 1, "\")\" has no matching \"(\" (column 2)"),
        ("atan2(1)", 0, "atan2 takes 2 arguments, 1 given (column 1)"),
        ("min()", 0, "min takes 1 argument or more, 0 given (column 1)"),
        ("sin 1", 0, "sin is a function: write sin(x) (column 1)"),
        ("x = 2", 2, "\"=\" is unknown: write only the expression to evaluate (column 3)"),
        ("1,000", 1, "a comma separates arguments: write 1234.5 for a number (column 2)"),
        (
            "1 000",
            2,
            "two numbers in a row: write an operator between them, or no blank (column 3)",
        ),
        ("6×7", 1, "\"×\" is not ASCII: write * (column 2)"),
        ("×+6÷7", 0, "\"×\" is not ASCII: write * (column 1)"),
        ("1 − 2", 2, "\"−\" is not ASCII: write - (column 3)"),
        ("7//2", 2, "// is not an operator: write floor(a/b) (column 3)"),
        ("1&&2", 1, "\"&\" is unknown: there are no logical or bitwise operators (column 2)"),
        ("1+", 1, "an operand is missing after \"+\" (column 2)"),
        ("2**", 1, "an operand is missing after \"**\" (column 2)"),
        ("*2", 0, "an operand is missing before \"*\" (column 1)"),
        ("!5", 0, "! stands after its operand: write 5! (column 1)"),
        ("()", 0, "the parentheses are empty: write an operand between them (column 1)"),
        ("1e", 0, "\"1e\" has no digits after the e: write an exponent, as in 1e3 (column 1)"),
        ("0x", 2, "0x takes the digits 0 to 9 and a to f: write 0x1F (column 3)"),
        ("1.2.3", 3, "a number has one decimal point: write 1234.5 (column 4)"),
        ("1/(2-2)", 1, "\"/\" divides by zero (column 2)"),
        ("0*(1e200*1e200)", 8, "\"*\" overflows: the largest number is 1.797e308 (column 9)"),
        ("sqrt(-1)", 0, "domain error in sqrt(x): square root, for x from 0 up (column 1)"),
        ("acosh(-5)", 0, "domain error in acosh(x): inverse of cosh, x from 1 up (column 1)"),
        ("(-8)^(1/3)", 4, "a power of a negative number needs an integer exponent (column 5)"),
        (
            "2.5!",
            3,
            "! takes integers from 0 to 170: for other numbers write gamma(x+1) (column 4)",
        ),
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
    fn old_wound_letters_that_are_not_ascii_were_shown_as_bytes_or_cut_off() {
        let cases = [
            ("größe+1", "unknown name \"größe\" (column 1)"),
            ("2*ä", "\"ä\" is not known here (column 3)"),
            ("1+\u{202e}2", "\"\\u{202e}\" is not known here (column 3)"),
            ("y²", "unknown name \"y\" (column 1)"),
        ];
        for (text, message) in cases {
            assert_eq!(evaluate(text, &[]).unwrap_err().to_string(), message, "{text}");
        }
        let long = evaluate(&"é".repeat(100), &[]).unwrap_err().to_string();
        assert!(!long.contains("\\x"), "{long}");
    }

    #[test]
    fn messages_repeat_few_bytes_and_escape_them() {
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
