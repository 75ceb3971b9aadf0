//! What to say about a text that is no expression.
//!
//! Promises: runs once, when the evaluator has given up; looks at what stands around the place
//! and at names that are alike; its work is bounded by `NAME_BYTES` and the number of names.
//! Leaves out: reasons that the evaluator knows at once, and writing the message (fault.rs).

use super::fault::{Fault, Reason};
use super::functions::{self, FUNCTIONS};
use super::scan::is_name_byte;
use super::value::Value;

/// A value was expected at `at`.
pub(super) fn missing(text: &str, at: usize) -> Fault {
    let bytes = text.as_bytes();
    let end = end_before(bytes, at);
    let last = byte_before(bytes, end);
    let next = bytes.get(at).copied();
    let here = |reason| Fault::new(reason, at, at + 1);
    let is_operator = matches!(next, None | Some(b')' | b',' | b'*' | b'/' | b'%' | b'^' | b'!'));
    match (last, next) {
        (None, None) => {
            Fault::new(Reason::Say("the expression is empty: write one, such as 2*(3+4)"), 0, 0)
        }
        (Some(b'%'), _) if is_operator => Fault::new(
            Reason::Say("% is the remainder; for ten percent write 10/100"),
            end - 1,
            end,
        ),
        (Some(b'/'), Some(b'/')) => here(Reason::Say("// is no operator: write floor(a/b)")),
        (_, Some(b'!')) => here(Reason::Say("! stands after its number: write 5!")),
        (Some(b'('), Some(b')')) => {
            Fault::new(Reason::Say("nothing stands between ( and )"), end - 1, end)
        }
        (None | Some(b'('), Some(_)) if is_operator => {
            here(Reason::Say("a value is missing before \"@\""))
        }
        _ if is_operator => {
            let width =
                if bytes.get(..end).is_some_and(|left| left.ends_with(b"**")) { 2 } else { 1 };
            Fault::new(Reason::Say("a value is missing after \"@\""), end - width, end)
        }
        _ => foreign(text, at),
    }
}

/// The expression, or the group that was opened at `open`, should have ended at `at`.
pub(super) fn stray(text: &str, at: usize, open: Option<usize>) -> Fault {
    let bytes = text.as_bytes();
    let here = |reason| Fault::new(reason, at, at + 1);
    let left = token_before(bytes, at);
    let ends_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let touches_number = byte_before(bytes, at).is_some_and(ends_number);
    let Some(&byte) = bytes.get(at) else {
        let open = open.unwrap_or_default();
        return Fault::new(Reason::Say("\"@\" at column # is never closed"), open, open + 1);
    };
    match byte {
        b')' => here(Reason::Say("\"@\" closes nothing")),
        b',' => here(Reason::Say("a comma separates arguments: write 1234.5 for a number")),
        b'.' if touches_number => here(Reason::Say("a number has one point: write 1234.5")),
        b'_' if touches_number => here(Reason::Say("a number has no _: write 1000")),
        b'0'..=b'9' if bytes.get(left.0).is_some_and(u8::is_ascii_digit) => {
            here(Reason::Say("two numbers in a row: write an operator between them, or no blank"))
        }
        b'(' => Fault::new(Reason::TimesMissing(left.0 as u16, left.1 as u16), at, at + 1),
        _ if is_name_byte(byte) || byte == b'.' => {
            let rest = bytes.get(at..).unwrap_or_default();
            let width = rest.iter().take_while(|&&byte| is_name_byte(byte) || byte == b'.').count();
            Fault::new(Reason::TimesMissing(left.0 as u16, left.1 as u16), at, at + width)
        }
        _ => foreign(text, at),
    }
}

/// A name that nobody has given.
#[cold]
pub(super) fn unknown(name: &[u8], start: usize, called: bool) -> Fault {
    let reason = match functions::find(name) {
        Some(function) => Reason::NotCalled(&function.entry),
        None if called => Reason::UnknownFunction,
        None => Reason::UnknownName,
    };
    Fault::new(reason, start, start + name.len())
}

/// A character that no expression has.
fn foreign(text: &str, at: usize) -> Fault {
    let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
    let reason = match character {
        '=' => Reason::Say("\"=\" is not known: write only what is to be computed"),
        '<' | '>' => {
            Reason::Say("\"@\" compares; only numbers are computed: write max(a, b) or sign(a-b)")
        }
        '&' | '|' | '~' => Reason::Say("\"@\" is not known: there are no logic or bit operators"),
        ';' => Reason::Say("\"@\" is not known: write a comma between arguments"),
        '[' | ']' | '{' | '}' => Reason::Say("\"@\" is not known: write ( and )"),
        '"' | '\'' | '`' => Reason::Say("\"@\" is not known: only numbers are computed, no text"),
        _ => ascii_for(character).map_or(Reason::Say("\"@\" is not known here"), Reason::Write),
    };
    Fault::new(reason, at, at + character.len_utf8())
}

/// What to write for a character that only looks as if it belonged here.
fn ascii_for(character: char) -> Option<&'static str> {
    Some(match character {
        '×' | '·' | '∙' | '⋅' | '∗' | '✕' | '✖' => "*",
        '÷' | '∕' | '⁄' => "/",
        '−' | '–' | '—' | '‐' | '‑' | '－' => "-",
        '＋' => "+",
        '（' => "(",
        '）' => ")",
        '²' => "^2",
        '³' => "^3",
        '√' => "sqrt(x)",
        '∛' => "cbrt(x)",
        'π' => "pi",
        'τ' => "tau",
        '½' => "1/2",
        '¼' => "1/4",
        '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{3000}' | '\u{feff}' => "a blank",
        _ => return None,
    })
}

fn end_before(bytes: &[u8], at: usize) -> usize {
    bytes.get(..at).unwrap_or_default().trim_ascii_end().len()
}

fn byte_before(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at.checked_sub(1)?).copied()
}

/// The number, name or parenthesis that ends before `at`.
fn token_before(bytes: &[u8], at: usize) -> (usize, usize) {
    let end = end_before(bytes, at);
    let is_part = |byte: &&u8| is_name_byte(**byte) || matches!(**byte, b'.' | b'!');
    let width = bytes.get(..end).unwrap_or_default().iter().rev().take_while(is_part).count();
    (end - width.max(1).min(end), end)
}

/// Names longer than this are not compared.
const NAME_BYTES: usize = 16;

/// The known name that was perhaps meant.
pub(super) fn nearest<'a>(name: &[u8], variables: &[(&'a str, Value)]) -> Option<&'a [u8]> {
    let known = FUNCTIONS.iter().map(|function| function.entry.name());
    let names = known.chain(["pi", "e", "tau"]).chain(variables.iter().map(|&(name, _)| name));
    names
        .map(str::as_bytes)
        .filter_map(|known| Some((unlikeness(name, known)?, known)))
        .min_by_key(|&(unlikeness, _)| unlikeness)
        .map(|(_, known)| known)
}

/// How far a name is from a known one, if they are alike at all.
fn unlikeness(name: &[u8], known: &[u8]) -> Option<usize> {
    if name.len() > NAME_BYTES || known.len() > NAME_BYTES {
        return None;
    }
    let edits = if is_swapped(name, known) { 1 } else { edits(name, known) };
    // One slip of the pen in three letters; and "cosine" is "cos" with an ending.
    let has_ending = known.len() >= 3 && name.starts_with(known);
    (edits <= name.len() / 3 || has_ending).then_some(edits)
}

/// Are they the same but for two neighbours?
fn is_swapped(name: &[u8], known: &[u8]) -> bool {
    let same = name.iter().zip(known).take_while(|(a, b)| a == b).count();
    match (name.get(same..), known.get(same..)) {
        (Some([a, b, rest @ ..]), Some([c, d, others @ ..])) => a == d && b == c && rest == others,
        _ => false,
    }
}

/// How many bytes to insert, drop or replace (V. I. Levenshtein), upper and lower case alike.
fn edits(name: &[u8], known: &[u8]) -> usize {
    // For what was read of `name`: the distance from each beginning of `known`.
    let mut row: [usize; NAME_BYTES + 1] = core::array::from_fn(|length| length);
    let mut last = known.len();
    for (read, a) in name.iter().enumerate() {
        let (mut diagonal, mut left) = (read, read + 1);
        for (b, cell) in known.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        last = left;
    }
    last
}
