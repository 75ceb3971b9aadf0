//! The lexer: from bytes to number literals, names and single characters.
//!
//! Promises: each byte is read once, those of a long literal twice; a number literal is the exact
//! integer or the nearest double.
//! Leaves out: operators and the meaning of names (parser.rs).

use super::budget::Budget;
use super::error::{Error, ErrorKind};
use super::value::Value;

/// The expression and the current position.
///
/// Between two calls the position is never at a blank.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) error: Error,
}

/// An error occurred and is stored in the lexer. The marker has no size, because each step of an
/// evaluation returns one or a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed;

/// The number of decimal digits that always fit a `u64`.
const DIGITS_MAX: usize = 19;

/// The greatest mantissa up to which each one is a double.
const MANTISSA_MAX: u64 = 1 << 53;

/// The powers of ten that are doubles. The product or quotient of such a mantissa and such a
/// power is rounded once (W. D. Clinger, PLDI 1990).
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        let mut lexer = Lexer { text, at: 0, error: Error::new(ErrorKind::Empty, 0, 0) };
        lexer.skip_blanks();
        lexer
    }

    /// The current byte; 0 at the end. No operator is a 0 byte.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// The byte after the current one.
    #[inline(always)]
    pub(super) fn peek_second(&self) -> u8 {
        self.text.as_bytes().get(self.at + 1).copied().unwrap_or(0)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Records an error at the bytes from `start` to `end`.
    #[cold]
    pub(super) fn fail<T>(
        &mut self,
        kind: ErrorKind,
        start: usize,
        end: usize,
    ) -> Result<T, Failed> {
        self.record(Error::new(kind, start, end))
    }

    #[cold]
    pub(super) fn record<T>(&mut self, error: Error) -> Result<T, Failed> {
        self.error = error;
        Err(Failed)
    }

    /// Skips one byte and the blanks after it.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        self.at += 1;
        self.skip_blanks();
    }

    #[inline(always)]
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Reads the name that begins at the position.
    #[inline(always)]
    pub(super) fn name(&mut self) -> &'a [u8] {
        let start = self.at;
        while is_name_byte(self.peek()) {
            self.at += 1;
        }
        let name = self.text.as_bytes().get(start..self.at).unwrap_or_default();
        self.skip_blanks();
        name
    }

    /// Reads the number literal whose first digit or point is at the position.
    #[inline(always)]
    pub(super) fn number(&mut self, budget: &mut Budget) -> Result<Value, Failed> {
        let start = self.at;
        let integer = self.digits(0);
        let count = self.at - start;
        let value = match self.peek() {
            b'.' | b'e' | b'E' => Value::Real(self.fraction(start, integer, budget)?),
            b'x' | b'X' | b'b' | b'B' | b'o' | b'O' if count == 1 && integer == 0 => {
                Value::Integer(self.hexadecimal_or_binary(start)?)
            }
            _ if count <= DIGITS_MAX => Value::Integer(i128::from(integer)),
            _ => match self.long_integer(start) {
                Some(integer) => Value::Integer(integer),
                None => Value::Real(self.double(start, budget)?),
            },
        };
        self.skip_blanks();
        Ok(value)
    }

    /// Appends decimal digits to a number; the result is correct if the literal has at most
    /// `DIGITS_MAX`.
    #[inline(always)]
    fn digits(&mut self, mut number: u64) -> u64 {
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return number;
            }
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
    }

    /// Reads the rest of a double: a fraction, an exponent or both.
    #[inline(always)]
    fn fraction(
        &mut self,
        start: usize,
        mut mantissa: u64,
        budget: &mut Budget,
    ) -> Result<f64, Failed> {
        let mut scale = 0_i32;
        if self.peek() == b'.' {
            self.at += 1;
            let point = self.at;
            mantissa = self.digits(mantissa);
            scale = -((self.at - point) as i32);
            if self.at == start + 1 {
                return self.fail(ErrorKind::PointWithoutDigit, start, self.at);
            }
        }
        if matches!(self.peek(), b'e' | b'E') {
            scale += self.exponent(start)?;
        }
        match POWERS_OF_TEN.get(scale.unsigned_abs() as usize) {
            Some(power) if self.at - start <= DIGITS_MAX && mantissa <= MANTISSA_MAX => {
                Ok(if scale < 0 { mantissa as f64 / power } else { mantissa as f64 * power })
            }
            _ => self.double(start, budget),
        }
    }

    /// Reads an exponent: `e`, a sign or none, at least one digit.
    fn exponent(&mut self, start: usize) -> Result<i32, Failed> {
        self.at += 1;
        let is_negative = self.peek() == b'-';
        if is_negative || self.peek() == b'+' {
            self.at += 1;
        }
        let first = self.at;
        // No mantissa of 4,096 digits compensates for a greater exponent.
        let exponent = self.digits(0).min(10_000) as i32;
        if self.at == first {
            return self.fail(ErrorKind::ExponentWithoutDigit, start, self.at);
        }
        Ok(if is_negative { -exponent } else { exponent })
    }

    /// The nearest double of the literal that begins at `start`, by the standard library.
    #[cold]
    fn double(&mut self, start: usize, budget: &mut Budget) -> Result<f64, Failed> {
        let literal = self.text.get(start..self.at).unwrap_or_default();
        if literal.len() > DIGITS_MAX && budget.charge(cost_of_digits(literal)).is_err() {
            return self.fail(ErrorKind::WorkLimit, start, self.at);
        }
        match literal.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => self.fail(ErrorKind::Overflow, start, self.at),
        }
    }

    /// An integer of 20 digits or more, if it fits.
    #[cold]
    fn long_integer(&self, start: usize) -> Option<i128> {
        self.text.get(start..self.at)?.parse().ok()
    }

    /// Reads the rest of `0x1F` or `0b101`.
    #[cold]
    fn hexadecimal_or_binary(&mut self, start: usize) -> Result<i128, Failed> {
        let (radix, bad_digit) = match self.peek() {
            b'x' | b'X' => (16, ErrorKind::HexadecimalDigit),
            b'b' | b'B' => (2, ErrorKind::BinaryDigit),
            _ => return self.fail(ErrorKind::Octal, start, self.at + 1),
        };
        self.at += 1;
        let first = self.at;
        while char::from(self.peek()).is_digit(radix) {
            self.at += 1;
        }
        if self.at == first || is_name_byte(self.peek()) || self.peek() == b'.' {
            return self.fail(bad_digit, self.at, self.at + 1);
        }
        let digits = self.text.get(first..self.at).unwrap_or_default();
        i128::from_str_radix(digits, radix)
            .or_else(|_| self.fail(ErrorKind::RadixOverflow, start, first))
    }
}

/// The cost of reading a double. Beyond 19 digits all of them may be compared, which takes longer
/// the further the decimal point is from the first digit.
fn cost_of_digits(literal: &str) -> u32 {
    let (digits, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
    let before_point = digits.find('.').unwrap_or(digits.len()) as i32;
    // An exponent that does not fit counts as the greatest.
    let exponent = exponent.parse().unwrap_or(i32::MAX);
    let distance = before_point.saturating_add(exponent).unsigned_abs().min(400);
    100 + 35 * distance + distance * digits.len().min(800) as u32 / 16
}

/// Whether this byte may follow the first byte of a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
