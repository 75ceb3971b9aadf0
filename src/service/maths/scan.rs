//! From bytes to numbers and names, one byte at a time.
//!
//! Promises: each byte is read once; a number is the double nearest to what is written, or the
//! whole number itself; what follows a number or a name is not looked at.
//! Leaves out: what the numbers and names mean (grammar.rs).

use super::exact::Work;
use super::fault::{Failed, Fault, Reason};
use super::value::Value;

/// The text and the place that has been reached in it.
///
/// Between two calls the place is never at a blank.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    fault: Option<Fault>,
}

/// Digits that a `u64` can always hold.
const DIGITS_MAX: usize = 19;

/// Mantissas up to this are doubles, exactly.
const MANTISSA_MAX: u64 = 1 << 53;

/// The powers of ten that are doubles, exactly. One multiplication or division of an exact
/// mantissa by one of them is correctly rounded (W. D. Clinger, PLDI 1990).
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        let mut scanner = Scanner { text, at: 0, fault: None };
        scanner.skip_blanks();
        scanner
    }

    /// The byte at the place; 0 at the end. A 0 in the text is nobody's operator either.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// The byte after that.
    #[inline(always)]
    pub(super) fn peek_second(&self) -> u8 {
        self.text.as_bytes().get(self.at + 1).copied().unwrap_or(0)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Keeps what is wrong.
    #[cold]
    pub(super) fn fail<T>(
        &mut self,
        reason: Reason,
        start: usize,
        end: usize,
    ) -> Result<T, Failed> {
        self.keep(Fault::new(reason, start, end))
    }

    #[cold]
    pub(super) fn keep<T>(&mut self, fault: Fault) -> Result<T, Failed> {
        self.fault = Some(fault);
        Err(Failed)
    }

    /// What is wrong, after a failure.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Steps over one byte and the blanks after it.
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

    /// A name, at whose first letter the place is.
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

    /// A number, at whose first digit or point the place is.
    #[inline(always)]
    pub(super) fn number(&mut self, work: &mut Work) -> Result<Value, Failed> {
        let start = self.at;
        let mantissa = self.digits(0);
        let value = match self.peek() {
            b'.' | b'e' | b'E' => Value::Real(self.fraction(start, mantissa, work)?),
            b'x' | b'X' | b'b' | b'B' | b'o' | b'O' if self.is_lone_zero(start) => {
                Value::Integer(self.other_radix(start)?)
            }
            _ if self.at - start <= DIGITS_MAX => Value::Integer(i128::from(mantissa)),
            _ => match self.long_integer(start) {
                Some(number) => Value::Integer(number),
                None => Value::Real(self.rounded(start, self.at - start, 0, work)?),
            },
        };
        self.skip_blanks();
        Ok(value)
    }

    /// Appends digits to a mantissa, which is only right if there are at most `DIGITS_MAX`.
    #[inline(always)]
    fn digits(&mut self, mut mantissa: u64) -> u64 {
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return mantissa;
            }
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
    }

    /// The rest of a number with a point or an exponent: a double.
    #[inline(always)]
    fn fraction(
        &mut self,
        start: usize,
        mut mantissa: u64,
        work: &mut Work,
    ) -> Result<f64, Failed> {
        let mut count = self.at - start;
        let mut scale = 0_i32;
        if self.peek() == b'.' {
            self.at += 1;
            let point = self.at;
            mantissa = self.digits(mantissa);
            count += self.at - point;
            scale = -((self.at - point) as i32);
            if count == 0 {
                return self.fail(
                    Reason::Say("a point needs a digit beside it: write 0.5"),
                    start,
                    self.at,
                );
            }
        }
        if matches!(self.peek(), b'e' | b'E') {
            scale += self.exponent(start)?;
        }
        let power = POWERS_OF_TEN.get(scale.unsigned_abs() as usize);
        match power {
            Some(power) if count <= DIGITS_MAX && mantissa <= MANTISSA_MAX => {
                let mantissa = mantissa as f64;
                Ok(if scale < 0 { mantissa / power } else { mantissa * power })
            }
            _ => self.rounded(start, count, scale, work),
        }
    }

    /// What follows the digits: `e`, perhaps a sign, at least one digit.
    fn exponent(&mut self, start: usize) -> Result<i32, Failed> {
        self.at += 1;
        let negative = self.peek() == b'-';
        if negative || self.peek() == b'+' {
            self.at += 1;
        }
        let first = self.at;
        let mut exponent = 0_i32;
        while let digit @ b'0'..=b'9' = self.peek() {
            // More than this is infinite or nothing, whatever the mantissa of 4,096 digits.
            exponent = (exponent * 10 + i32::from(digit - b'0')).min(10_000);
            self.at += 1;
        }
        if self.at == first {
            return self.fail(
                Reason::Say("\"@\" is not finished: write digits after the e, as in 1e3"),
                start,
                self.at,
            );
        }
        Ok(if negative { -exponent } else { exponent })
    }

    /// A number of any length, by the correctly rounding reader of the standard library.
    ///
    /// With more than 19 digits it may have to compare all of them, which takes the longer the
    /// further the point is away.
    #[cold]
    fn rounded(
        &mut self,
        start: usize,
        count: usize,
        scale: i32,
        work: &mut Work,
    ) -> Result<f64, Failed> {
        if count > DIGITS_MAX {
            let distance = (count as i32 + scale).unsigned_abs().min(400);
            work.charge(100 + 35 * distance + distance * count.min(800) as u32 / 16)
                .or_else(|reason| self.fail(reason, start, self.at))?;
        }
        let number = self.text.get(start..self.at).and_then(|text| text.parse().ok());
        match number {
            Some(number) if f64::is_finite(number) => Ok(number),
            _ => self.fail(Reason::OVERFLOW, start, self.at),
        }
    }

    /// A whole number of 20 digits or more: exact if it fits.
    #[cold]
    fn long_integer(&self, start: usize) -> Option<i128> {
        self.text.get(start..self.at)?.parse().ok()
    }

    fn is_lone_zero(&self, start: usize) -> bool {
        self.at == start + 1 && self.text.as_bytes().get(start) == Some(&b'0')
    }

    /// The rest of `0x1F` or `0b101`.
    #[cold]
    fn other_radix(&mut self, start: usize) -> Result<i128, Failed> {
        let (radix, digits) = match self.peek() {
            b'x' | b'X' => (16, "0x takes the digits 0 to 9 and a to f: write 0x1F"),
            b'b' | b'B' => (2, "0b takes the digits 0 and 1: write 0b101"),
            _ => {
                return self.fail(
                    Reason::Say("octal numbers are not known: write 0x1F, 0b101 or decimal digits"),
                    start,
                    self.at + 1,
                );
            }
        };
        self.at += 1;
        let first = self.at;
        let mut value = 0_i128;
        while is_name_byte(self.peek()) || self.peek() == b'.' {
            let Some(digit) = char::from(self.peek()).to_digit(radix) else {
                return self.fail(Reason::Say(digits), self.at, self.at + 1);
            };
            let longer = value.checked_mul(i128::from(radix));
            let Some(longer) = longer.and_then(|value| value.checked_add(i128::from(digit))) else {
                return self.fail(
                    Reason::Say("a number with 0x or 0b has at most 127 bits"),
                    start,
                    first,
                );
            };
            value = longer;
            self.at += 1;
        }
        if self.at == first {
            return self.fail(Reason::Say(digits), self.at, self.at);
        }
        Ok(value)
    }
}

/// May this byte stand in a name, after the first?
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
