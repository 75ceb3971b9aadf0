//! The evaluator: an expression and its variables in, one number or one message out.
//!
//! It promises:
//! - whole numbers are exact as long as they fit 128 bits, and `+ - * / % sqrt` are correctly
//!   rounded beyond; the same text gives the same bytes on every host;
//! - no infinity, no NaN and no negative zero ever leaves, nor lives in a part of an expression;
//! - no heap, no panic and no more than some 100 microseconds, whatever the text;
//! - a message that says what was found, where, and what to write instead.
//!
//! It leaves out: units, vectors, text, assignments, comparisons; and decimal fractions: `0.1`
//! is the double nearest to it.
//!
//! A text goes through `scan` (bytes to numbers and names) and `grammar` (evaluates as it reads),
//! which ask `value`, `exact` and `functions`; what has no value goes through `diagnosis` into a
//! `fault`. `reference` is what people read.

mod bodies;
mod diagnosis;
mod exact;
mod fault;
mod functions;
mod grammar;
mod reference;
mod scan;
mod value;

pub use fault::BadExpression;
pub use reference::{Entry, REFERENCE};
pub use value::Value;

use crate::limits::NAME_BYTES_MAX;

/// Evaluates an expression of at most `EXPRESSION_BYTES_MAX` bytes.
///
/// Of `variables`, the first `VARIABLES_MAX` count; a `Real` among them has to be finite. The
/// names of functions and constants win over them, so check with [`check_variable_name`] before.
///
/// # Errors
///
/// Whatever has no finite value: see the messages of [`BadExpression`].
pub fn evaluate(expression: &str, variables: &[(&str, Value)]) -> Result<Value, BadExpression> {
    let mut parser = grammar::Parser::new(expression, variables);
    parser.run().map_err(|fault| BadExpression::new(fault, expression, variables))
}

/// Reads a JSON number (RFC 8259, section 6): exact if it is whole and fits 128 bits, otherwise
/// the nearest double. Gives nothing for any other text, nor where the nearest double is infinite.
pub fn parse_number(text: &str) -> Option<Value> {
    let bytes = text.as_bytes();
    let (whole, rest) = split_digits(bytes.strip_prefix(b"-").unwrap_or(bytes));
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
        return None;
    }
    if rest.is_empty()
        && let Ok(number) = text.parse()
    {
        return Some(Value::Integer(number));
    }
    let rest = match rest {
        [b'.', fraction @ ..] => match split_digits(fraction) {
            ([], _) => return None,
            (_, rest) => rest,
        },
        rest => rest,
    };
    let is_number = match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            matches!(split_digits(exponent), ([_, ..], []))
        }
        _ => false,
    };
    is_number.then(|| text.parse().ok().and_then(|x| Value::real(x).ok()))?
}

/// The digits at the beginning, and what follows.
fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(count).unwrap_or((text, &[]))
}

/// May a variable have this name?
///
/// # Errors
///
/// The end of a sentence that begins with the name: "is a constant".
pub fn check_variable_name(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if bytes.len() > NAME_BYTES_MAX {
        Err("is longer than 64 bytes")
    } else if bytes.first().is_none_or(u8::is_ascii_digit)
        || !bytes.iter().all(|&byte| scan::is_name_byte(byte))
    {
        Err("is no name: write letters, digits and _, and no digit first")
    } else if functions::constant(bytes).is_some() {
        Err("is a constant")
    } else if functions::find(bytes).is_some() {
        Err("is a function")
    } else {
        Ok(())
    }
}
