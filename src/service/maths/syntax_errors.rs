//! The kind of a syntax error, from the text around its position.
//!
//! Promises: runs only after the parser has stopped, in time linear in the length of the text.
//! Leaves out: errors that lexer and evaluation detect, and messages (message.rs).

use super::builtins;
use super::error::{Error, ErrorKind};
use super::lexer::is_name_byte;

/// An operand is missing at `at`.
pub(super) fn missing_operand(bytes: &[u8], at: usize) -> Error {
    let end = end_before(bytes, at);
    let last = byte_before(bytes, end);
    let next = bytes.get(at).copied();
    let here = |kind| Error::new(kind, at, at + 1);
    let is_operator = matches!(next, None | Some(b')' | b',' | b'*' | b'/' | b'%' | b'^' | b'!'));
    match (last, next) {
        (None, None) => Error::new(ErrorKind::Empty, 0, 0),
        (Some(b'%'), _) if is_operator => Error::new(ErrorKind::PercentSign, end - 1, end),
        (Some(b'/'), Some(b'/')) => here(ErrorKind::FloorDivision),
        (_, Some(b'!')) => here(ErrorKind::PrefixFactorial),
        (Some(b'('), Some(b')')) => Error::new(ErrorKind::EmptyParentheses, end - 1, end),
        (None | Some(b'('), Some(_)) if is_operator => here(ErrorKind::OperandMissingBefore),
        _ if is_operator => {
            let width =
                if bytes.get(..end).is_some_and(|left| left.ends_with(b"**")) { 2 } else { 1 };
            Error::new(ErrorKind::OperandMissingAfter, end - width, end)
        }
        _ => unknown_character(bytes, at),
    }
}

/// The expression, or the group that was opened at `open`, does not end at `at` as expected.
pub(super) fn unexpected(bytes: &[u8], at: usize, open: Option<usize>) -> Error {
    let here = |kind| Error::new(kind, at, at + 1);
    let left = token_before(bytes, at);
    let missing = ErrorKind::OperatorMissing(left.start as u16, left.end as u16);
    let ends_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let touches_number = byte_before(bytes, at).is_some_and(ends_number);
    let Some(&byte) = bytes.get(at) else {
        let open = open.unwrap_or_default();
        return Error::new(ErrorKind::UnclosedParenthesis, open, open + 1);
    };
    match byte {
        b')' => here(ErrorKind::UnopenedParenthesis),
        b',' => here(ErrorKind::StrayComma),
        b'.' if touches_number => here(ErrorKind::SecondPoint),
        b'_' if touches_number => here(ErrorKind::DigitSeparator),
        b'0'..=b'9' if bytes.get(left.start).is_some_and(u8::is_ascii_digit) => {
            here(ErrorKind::AdjacentNumbers)
        }
        b'(' => here(missing),
        _ if is_name_byte(byte) || byte == b'.' => {
            let rest = bytes.get(at..).unwrap_or_default();
            let width = rest.iter().take_while(|&&byte| is_name_byte(byte) || byte == b'.').count();
            Error::new(missing, at, at + width)
        }
        _ => unknown_character(bytes, at),
    }
}

/// A name that is no constant, no variable and, if `called`, no function.
#[cold]
pub(super) fn unknown_name(name: &[u8], start: usize, called: bool) -> Error {
    let kind = match builtins::find(name) {
        Some(_) => ErrorKind::FunctionWithoutCall,
        None if called => ErrorKind::UnknownFunction,
        None => ErrorKind::UnknownName,
    };
    Error::new(kind, start, start + name.len())
}

/// A character that no expression contains.
fn unknown_character(bytes: &[u8], at: usize) -> Error {
    let rest = bytes.get(at + 1..).unwrap_or_default();
    // The later bytes of a character in UTF-8 begin with the bits 10.
    let width = 1 + rest.iter().take_while(|&&byte| byte & 0xC0 == 0x80).count();
    Error::new(ErrorKind::UnknownCharacter, at, at + width)
}

fn end_before(bytes: &[u8], at: usize) -> usize {
    bytes.get(..at).unwrap_or_default().trim_ascii_end().len()
}

fn byte_before(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at.checked_sub(1)?).copied()
}

/// The number, name or parenthesis that ends before `at`.
fn token_before(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let end = end_before(bytes, at);
    let is_part = |byte: &&u8| is_name_byte(**byte) || matches!(**byte, b'.' | b'!');
    let width = bytes.get(..end).unwrap_or_default().iter().rev().take_while(is_part).count();
    end - width.max(1).min(end)..end
}
