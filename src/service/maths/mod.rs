//! Evaluation of mathematical expressions: text and variables in, one number or one error out.
//!
//! It promises:
//! - integers are exact as long as they fit 128 bits, and `+ - * / % sqrt` and powers of integers
//!   are rounded once beyond; the same text has the same value on each host;
//! - no infinity, no NaN and no negative zero is a result, of a part of an expression either;
//! - no heap, no panic and no more than some 100 microseconds for any text;
//! - a message says what was found, where, and what to write instead;
//! - of the rest of this crate, only `crate::limits` is used: the folder could be a crate.
//!
//! It leaves out: units, vectors, strings, assignments, comparisons; and decimal fractions: `0.1`
//! is the nearest double.
//!
//! The layers, from the bottom up; each file uses only those before it (`tests/rooms/`):
//! `error` and `budget` (plain data), `integer` (arithmetic beyond 128 bits), `value` (the
//! operators), `functions`, `builtins` (their table), `lexer`, `syntax_errors`, `parser` (which
//! evaluates), `suggestions`, `message` (errors for people), `reference` (the documentation).

mod budget;
mod builtins;
mod error;
mod functions;
mod integer;
mod lexer;
mod message;
mod parser;
mod reference;
mod suggestions;
mod syntax_errors;
mod value;

pub use builtins::Entry;
pub use message::BadExpression;
pub use reference::REFERENCE;
pub use suggestions::{is_typo, similar};
pub use value::Value;

use crate::limits::NAME_BYTES_MAX;

/// Evaluates an expression of at most `EXPRESSION_BYTES_MAX` bytes.
///
/// Only the first `VARIABLES_MAX` variables are used; a `Real` among them has to be finite. The
/// names of functions and constants take precedence: check with [`check_variable_name`] before.
///
/// # Errors
///
/// The expression has no finite value: see the messages of [`BadExpression`].
pub fn evaluate(expression: &str, variables: &[(&str, Value)]) -> Result<Value, BadExpression> {
    let mut parser = parser::Parser::new(expression, variables);
    match parser.run() {
        Ok(value) => Ok(value),
        Err(error) => Err(BadExpression::new(error, expression, variables)),
    }
}

/// Reads a JSON number (RFC 8259, section 6): an integer that fits 128 bits exactly, any other
/// number as the nearest double. Returns `None` for other text, and where the double is infinite.
pub fn parse_number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = split_once(unsigned, &['e', 'E']);
    let (whole, fraction) = split_once(mantissa, &['.']);
    let exponent = exponent.map(|digits| digits.strip_prefix(['+', '-']).unwrap_or(digits));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    let parts = [Some(whole), fraction, exponent];
    if has_leading_zero || !parts.into_iter().flatten().all(is_digits) {
        return None;
    }
    if whole.len() == unsigned.len()
        && let Ok(number) = text.parse()
    {
        return Some(Value::Integer(number));
    }
    text.parse().ok().and_then(|x| Value::real(x).ok())
}

fn split_once<'a>(text: &'a str, at: &[char]) -> (&'a str, Option<&'a str>) {
    text.split_once(at).map_or((text, None), |(left, right)| (left, Some(right)))
}

/// Checks the name of a variable.
///
/// # Errors
///
/// The predicate of a sentence whose subject is the name: "is a constant".
pub fn check_variable_name(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if bytes.len() > NAME_BYTES_MAX {
        Err("is longer than 64 bytes")
    } else if bytes.first().is_none_or(u8::is_ascii_digit)
        || !bytes.iter().all(|&byte| lexer::is_name_byte(byte))
    {
        Err("is not a name: write letters, digits and _, and no digit first")
    } else if builtins::constant(bytes).is_some() {
        Err("is a constant; choose another name")
    } else if builtins::find(bytes).is_some() {
        Err("is a function; choose another name")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, VARIABLES_MAX};

    fn shown(expression: &str) -> String {
        let variables = [("x", Value::Integer(3)), ("half", Value::Real(0.5))];
        match evaluate(expression, &variables) {
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn operators_have_their_precedence() {
        for (expression, value) in [
            ("2^3!", "64"),
            ("-3!", "-6"),
            ("3!!", "720"),
            ("2^3^2", "512"),
            ("2^-1", "0.5"),
            ("-2^2", "-4"),
            ("7/4", "1.75"),
            ("-10%3", "-1"),
            ("10%-3", "1"),
            ("2**3**2", "512"),
            ("remainder(10, 4)", "2"),
            ("remainder(14, 4)", "-2"),
            ("remainder(10.0, 4)", "2"),
            ("remainder(14.0, 4)", "-2"),
            ("remainder(-11.0, 4)", "1"),
            ("100-10-1", "89"),
            ("100/10/2", "5"),
            ("2*3%4", "2"),
            ("1 - -1", "2"),
            ("---1", "-1"),
            ("2^ - + - 2", "4"),
            ("5.", "5"),
            (".5", "0.5"),
            ("1e-3", "0.001"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("\t1\r\n+ 1 ", "2"),
            ("x^2 + half", "9.5"),
            ("max(1, x, 2)", "3"),
        ] {
            assert_eq!(shown(expression), value, "{expression}");
        }
    }

    #[test]
    fn integers_are_exact_and_rounded_once_beyond_128_bits() {
        for (expression, value) in [
            ("2^100", "1267650600228229401496703205376"),
            ("9007199254740993 + 0", "9007199254740993"),
            ("2^126 - 1 + 2^126", "170141183460469231731687303715884105727"),
            ("-(2^126) - 2^126", "-170141183460469231731687303715884105728"),
            ("2^126 + 2^126", "1.7014118346046923e38"),
            ("6/3", "2"),
            ("10^30/10^28", "100"),
            ("9007199254740993/3", "3002399751580331"),
            // Rounding both operands first would give 0.9999999999999996.
            ("9007199254740993/9007199254740995", "0.9999999999999998"),
            ("(2^64+1)*(2^64+1)", "3.402823669209385e38"),
            ("sqrt(2^126)", "9223372036854775808"),
            ("sqrt(2)", "1.4142135623730951"),
            ("33!", "8683317618811886495518194401280000000"),
            ("34!", "2.9523279903960416e38"),
            ("170!", "7.257415615307999e306"),
            ("10^40", "1e40"),
            ("10^-40", "1e-40"),
            ("(-1)^(10^30+1)", "-1"),
            ("max(9007199254740993, 9007199254740992.0)", "9007199254740993"),
            (
                "min(2^126-1+2^126, 1.7014118346046923e38)",
                "170141183460469231731687303715884105727",
            ),
            ("gcd(2^100, 6^40)", "1099511627776"),
            ("comb(130, 65)", "95067625827960698145584333020095113100"),
            ("floor(1e20) + 1", "100000000000000000001"),
            ("mod(-7, 3)", "2"),
            ("0 * -1.5", "0"),
        ] {
            assert_eq!(shown(expression), value, "{expression}");
        }
    }

    #[test]
    fn doubles_are_written_short_and_read_back() {
        for (expression, value) in [
            ("0.5*4", "2"),
            ("0.1+0.2", "0.30000000000000004"),
            ("1e15", "1000000000000000"),
            ("1e16", "1e16"),
            ("1.5e300", "1.5e300"),
            ("0.0001", "0.0001"),
            ("1/1e5", "1e-5"),
            ("5e-324", "5e-324"),
            ("-0.0", "0"),
            ("1e-400", "0"),
            ("123456.75", "123456.75"),
        ] {
            assert_eq!(shown(expression), value, "{expression}");
            assert!(parse_number(value).is_some(), "{value}");
        }
    }

    #[test]
    fn bounds_hold() {
        let deep = |levels| "(".repeat(levels) + "1" + &")".repeat(levels);
        assert_eq!(shown(&deep(EXPRESSION_DEPTH_MAX)), "1");
        assert!(shown(&deep(EXPRESSION_DEPTH_MAX + 1)).contains("at most 64 levels"));
        assert!(shown(&("2^".repeat(EXPRESSION_DEPTH_MAX + 1) + "1")).contains("at most 64"));
        assert_eq!(
            shown(&"-".repeat(EXPRESSION_BYTES_MAX)),
            "an operand is missing after \"-\" (column 4096)"
        );
        assert!(shown(&"1".repeat(EXPRESSION_BYTES_MAX + 1)).contains("at most 4096 bytes"));
        assert!(shown(&("comb(1000,500)+".repeat(200) + "1")).contains("too much work"));
        let many = [("a", Value::Integer(1)); VARIABLES_MAX + 1];
        let mut many = many.to_vec();
        many[VARIABLES_MAX].0 = "b";
        assert!(evaluate("a", &many).is_ok() && evaluate("b", &many).is_err());
    }

    #[test]
    fn json_numbers_and_nothing_else_are_read() {
        let (integer, real) = (|n| Some(Value::Integer(n)), |x| Some(Value::Real(x)));
        for (text, value) in [
            ("0", integer(0)),
            ("-0", integer(0)),
            ("-12", integer(-12)),
            ("1.5", real(1.5)),
            ("-0.0", real(0.0)),
            ("1E+2", real(100.0)),
            ("-170141183460469231731687303715884105728", integer(i128::MIN)),
            ("170141183460469231731687303715884105728", real(1.7014118346046923e38)),
            ("1e400", None),
            ("", None),
            ("-", None),
            ("+1", None),
            ("01", None),
            ("1.", None),
            (".5", None),
            ("1e", None),
            ("0x1", None),
            (" 1", None),
            ("1 ", None),
            ("inf", None),
            ("NaN", None),
            ("1e5.0", None),
        ] {
            let read = parse_number(text);
            assert_eq!(read, value, "{text}");
            assert!(read != Some(Value::Real(0.0)) || read.unwrap().to_string() == "0");
        }
    }

    #[test]
    fn names_of_variables_are_checked() {
        for name in ["x", "_", "Rate_2", "sine"] {
            assert_eq!(check_variable_name(name), Ok(()), "{name}");
        }
        for name in ["", "2x", "a-b", "a b", "ä", "pi", "sin", &"a".repeat(65)] {
            assert!(check_variable_name(name).is_err(), "{name}");
        }
    }
}
