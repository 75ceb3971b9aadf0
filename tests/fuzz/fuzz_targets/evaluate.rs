//! Any text through the evaluator: no panic, no infinity, a message in ASCII, and the number of
//! `meval` where both have one.
//!
//! Promises: a value that leaves reads back as itself.
//! Leaves out of the comparison: what `meval` does otherwise or not at all (blanks alone, which
//! panic there; whole numbers from 2^53 up, which it rounds; functions of the C library, which
//! may differ in the last bits; names and notations that only one of the two has).
#![no_main]

use libfuzzer_sys::fuzz_target;
use zcmd::service::maths::{Value, evaluate, parse_number};

fuzz_target!(|text: &str| {
    let variables = [("x", Value::Integer(3)), ("half", Value::Real(0.5))];
    match evaluate(text, &variables) {
        Ok(value) => {
            if let Value::Real(x) = value {
                assert!(x.is_finite() && x.to_bits() != (-0.0_f64).to_bits(), "{value:?}");
            }
            let again = parse_number(&value.to_string()).expect("it is a JSON number");
            assert_eq!(to_f64(again), to_f64(value));
            compare(text, to_f64(value));
        }
        Err(error) => {
            assert!(error.position() <= text.len());
            let message = error.to_string();
            assert!(!message.contains(char::is_control));
            // Each of the 32 bytes is at most six when it is escaped, as in \u{7f}.
            assert!(message.len() < 160 + 6 * 32, "{message}");
        }
    }
});

fn to_f64(value: Value) -> f64 {
    match value {
        Value::Integer(number) => number as f64,
        Value::Real(x) => x,
    }
}

/// Only digits, points, the four operators with `%`, and parentheses, each exact in both.
fn compare(text: &str, ours: f64) {
    let is_common = |byte: u8| byte.is_ascii_digit() || b".+-*/%()".contains(&byte);
    // A long run of digits may be a whole number that meval rounds on the way.
    let is_short = text.split(|c: char| !c.is_ascii_digit()).all(|run| run.len() < 4);
    if text.len() > 16 || !text.bytes().all(is_common) || text.contains("**") || !is_short {
        return;
    }
    if let Ok(theirs) = meval::eval_str(text)
        && theirs.is_finite()
    {
        assert!(theirs == ours, "{text}: {ours}, meval: {theirs}");
    }
}
