//! The reference of the language: each literal, operator, constant and function, with an example.
//!
//! Promises: the reference is complete, and each example has the result beside it; a test checks
//! both.
//! Leaves out: the layout on a page.

use super::builtins::{Entry, FUNCTIONS};

const NOTATION: [Entry; 19] = [
    entry("12", "an integer, exact up to 127 bits", "9007199254740993", "9007199254740993"),
    entry("1.5", "a double, also .5 and 5.", ".5 + 5.", "5.5"),
    entry("1e3", "a double, times a power of ten", "1.5e3", "1500"),
    entry("0x1F", "hexadecimal", "0xff", "255"),
    entry("0b101", "binary", "0b101", "5"),
    entry("( x )", "grouping", "(1 + 2) * 3", "9"),
    entry("n !", "factorial, to 170!", "3!!", "720"),
    entry("x ^ y", "power, right-associative", "2^3^2", "512"),
    entry("x ** y", "power, as ^", "2**-1", "0.5"),
    entry("- x", "negation, of lower precedence than ^", "-2^2", "-4"),
    entry("+ x", "x", "+3", "3"),
    entry("x * y", "product", "6 * 7", "42"),
    entry("x / y", "quotient, never truncated", "7/4", "1.75"),
    entry("x % y", "remainder with the sign of x", "-10 % 3", "-1"),
    entry("x + y", "sum", "0.1 + 0.2", "0.30000000000000004"),
    entry("x - y", "difference", "5 - 3 - 1", "1"),
    entry("pi", "ratio of circumference to diameter", "pi", "3.141592653589793"),
    entry("e", "base of ln", "e", "2.718281828459045"),
    entry("tau", "2*pi", "tau", "6.283185307179586"),
];

const fn entry(
    form: &'static str,
    about: &'static str,
    example: &'static str,
    result: &'static str,
) -> Entry {
    Entry { form, about, example, result }
}

/// All entries: literals, operators by precedence, constants, functions by name.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler")]
pub static REFERENCE: [Entry; NOTATION.len() + FUNCTIONS.len()] = {
    let mut all = [NOTATION[0]; NOTATION.len() + FUNCTIONS.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < NOTATION.len() { NOTATION[i] } else { FUNCTIONS[i - NOTATION.len()].entry };
        i += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::super::{builtins, check_variable_name, evaluate};
    use super::*;

    #[test]
    fn every_example_gives_its_result() {
        for entry in &REFERENCE {
            let value = evaluate(entry.example, &[]).map(|value| value.to_string());
            assert_eq!(value.as_deref().ok(), Some(entry.result), "{}: {value:?}", entry.example);
        }
    }

    #[test]
    fn every_example_uses_its_entry_and_every_name_is_found() {
        for entry in &REFERENCE[NOTATION.len()..] {
            assert!(entry.example.contains(entry.name()), "{}", entry.form);
            let function = builtins::find(entry.name().as_bytes()).unwrap();
            assert_eq!(function.entry, *entry);
            assert!(check_variable_name(entry.name()).is_err());
        }
    }
}
