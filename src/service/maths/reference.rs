//! What people can write: each operator, constant and function, with an example.
//!
//! Promises: everything that the evaluator knows is here, and each example gives the result
//! beside it; a test holds both.
//! Leaves out: how it is laid out on a page.

use super::functions::FUNCTIONS;

/// One thing that can be written in an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// How it is written: `x ^ y`, `pi`, `atan2(y, x)`. An ellipsis means any number.
    pub form: &'static str,
    /// What it means, in one line.
    pub about: &'static str,
    /// An expression that uses it.
    pub example: &'static str,
    /// What that expression gives.
    pub result: &'static str,
}

impl Entry {
    /// The name alone: `atan2`. An operator has its form for a name.
    pub const fn name(&self) -> &'static str {
        let mut rest = self.form.as_bytes();
        while let [others @ .., last] = rest {
            rest = others;
            if *last == b'(' {
                return self.form.split_at(rest.len()).0;
            }
        }
        self.form
    }
}

const NOTATION: [Entry; 19] = [
    entry("12", "a whole number, exact up to 127 bits", "9007199254740993", "9007199254740993"),
    entry("1.5", "a double, also .5 and 5.", ".5 + 5.", "5.5"),
    entry("1e3", "a double, times a power of ten", "1.5e3", "1500"),
    entry("0x1F", "hexadecimal", "0xff", "255"),
    entry("0b101", "binary", "0b101", "5"),
    entry("( x )", "first", "(1 + 2) * 3", "9"),
    entry("n !", "factorial, to 170!", "3!!", "720"),
    entry("x ^ y", "power, from the right", "2^3^2", "512"),
    entry("x ** y", "power, as ^", "2**-1", "0.5"),
    entry("- x", "negation, after ^", "-2^2", "-4"),
    entry("+ x", "x", "+3", "3"),
    entry("x * y", "product", "6 * 7", "42"),
    entry("x / y", "quotient, never cut to whole", "7/4", "1.75"),
    entry("x % y", "remainder with the sign of x", "-10 % 3", "-1"),
    entry("x + y", "sum", "0.1 + 0.2", "0.30000000000000004"),
    entry("x - y", "difference", "5 - 3 - 1", "1"),
    entry("pi", "half a turn", "pi", "3.141592653589793"),
    entry("e", "base of ln", "e", "2.718281828459045"),
    entry("tau", "a turn, 2*pi", "tau", "6.283185307179586"),
];

const fn entry(
    form: &'static str,
    about: &'static str,
    example: &'static str,
    result: &'static str,
) -> Entry {
    Entry { form, about, example, result }
}

/// Everything: numbers, operators in the order of their binding, constants, functions by name.
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
    use super::super::{check_variable_name, evaluate, functions};
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
            let function = functions::find(entry.name().as_bytes()).unwrap();
            assert_eq!(function.entry, *entry);
            assert!(check_variable_name(entry.name()).is_err());
        }
    }
}
