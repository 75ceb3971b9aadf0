//! A number, an exact integer or a double, and the arithmetic operators.
//!
//! Promises: integers are exact as long as they fit 128 bits; `+ - * / %` and powers of integers
//! are rounded once where they leave the integers; a `Real` is finite and never -0.0.
//! Leaves out: functions (functions.rs).

use core::cmp::Ordering;
use core::fmt;

use super::budget::{Budget, CALL};
use super::error::ErrorKind;
use super::integer::{self, Extended};

/// A number: each argument and each result.
///
/// Two values are equal if both variant and number are equal: `Integer(2) != Real(2.0)`, though
/// both are written `2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// An exact integer.
    Integer(i128),
    /// A double, finite and never -0.0.
    Real(f64),
}

use Value::{Integer, Real};

/// The result of an operator or a function.
pub(super) type Outcome = Result<Value, ErrorKind>;

/// Integers below this are doubles too, and so is each step of their division.
const DOUBLE_EXACT_MAX: u128 = 1 << 53;

impl Value {
    /// The double that an operation returned; infinities and NaN are errors, -0.0 becomes 0.0.
    pub(super) fn real(x: f64) -> Outcome {
        // -0.0 + 0.0 is 0.0; the addition changes no other number.
        if x.is_finite() { Ok(Real(x + 0.0)) } else { Err(ErrorKind::Overflow) }
    }

    /// An integer from sign and magnitude: exact if it fits.
    pub(super) fn integer(negative: bool, magnitude: u128) -> Value {
        let number = if negative {
            0_i128.checked_sub_unsigned(magnitude)
        } else {
            0_i128.checked_add_unsigned(magnitude)
        };
        number.map_or_else(|| Real(integer::signed(negative, magnitude as f64)), Integer)
    }

    /// A positive integer of any size: exact if it fits.
    pub(super) fn extended(number: Extended) -> Outcome {
        match number.to_integer() {
            Some(magnitude) => Ok(Value::integer(false, magnitude)),
            None => Value::real(number.to_f64()),
        }
    }

    /// The nearest double.
    #[inline(always)]
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Integer(number) => match i64::try_from(number) {
                // The processor has an instruction for these.
                Ok(small) => small as f64,
                Err(_) => number as f64,
            },
            Real(x) => x,
        }
    }

    /// The integer that is equal to this number, if there is one.
    pub(super) fn to_integer(self) -> Option<i128> {
        match self {
            Integer(number) => Some(number),
            Real(x) => (x.abs() < integer::two_to(127) && x == libm::trunc(x)).then_some(x as i128),
        }
    }

    /// `self + other`.
    #[inline(always)]
    pub(super) fn plus(self, other: Value) -> Outcome {
        match (self, other) {
            (Integer(a), Integer(b)) => match a.checked_add(b) {
                Some(sum) => Ok(Integer(sum)),
                None => Ok(Real(integer::sum_of_magnitudes(a, b))),
            },
            _ => Value::real(self.to_f64() + other.to_f64()),
        }
    }

    /// `self - other`.
    #[inline(always)]
    pub(super) fn minus(self, other: Value) -> Outcome {
        match (self, other) {
            (Integer(a), Integer(b)) => match a.checked_sub(b) {
                Some(difference) => Ok(Integer(difference)),
                // The signs differ on overflow, so the magnitudes add up.
                None => Ok(Real(integer::sum_of_magnitudes(a, b))),
            },
            _ => Value::real(self.to_f64() - other.to_f64()),
        }
    }

    /// `self * other`.
    #[inline(always)]
    pub(super) fn times(self, other: Value) -> Outcome {
        match (self, other) {
            (Integer(a), Integer(b)) if are_small(a, b) => Ok(Integer(a * b)),
            (Integer(a), Integer(b)) => match a.checked_mul(b) {
                Some(product) => Ok(Integer(product)),
                None => Ok(Real(integer::product(a, b))),
            },
            _ => Value::real(self.to_f64() * other.to_f64()),
        }
    }

    /// `self / other`: an integer if the division has no remainder, a double otherwise.
    #[inline(always)]
    pub(super) fn over(self, other: Value, budget: &mut Budget) -> Outcome {
        match (self, other) {
            (_, Integer(0) | Real(0.0)) => Err(ErrorKind::DivisionByZero),
            (Integer(a), Integer(b)) if are_small(a, b) => {
                let (small, divisor) = (a as i64, b as i64);
                if small % divisor == 0 {
                    Ok(Integer(i128::from(small / divisor)))
                } else {
                    Ok(Real(small as f64 / divisor as f64))
                }
            }
            (Integer(a), Integer(b)) => {
                budget.charge(2 * CALL)?;
                Ok(match divided(a, b) {
                    Ok(quotient) => Integer(quotient),
                    Err(rounded) => Real(rounded),
                })
            }
            _ => Value::real(self.to_f64() / other.to_f64()),
        }
    }

    /// `self % other`, with the sign of `self`.
    pub(super) fn remainder(self, other: Value, budget: &mut Budget) -> Outcome {
        match (self, other) {
            (_, Integer(0) | Real(0.0)) => Err(ErrorKind::DivisionByZero),
            (Integer(a), Integer(b)) if are_small(a, b) => {
                Ok(Integer(i128::from(a as i64 % b as i64)))
            }
            (Integer(a), Integer(b)) => Ok(Integer(a.wrapping_rem(b))),
            _ => {
                let (x, y) = (self.to_f64(), other.to_f64());
                // The number of subtractions grows with the difference of the exponents.
                budget.charge(if x.abs() > 1e9 * y.abs() { 2 * CALL } else { 0 })?;
                Value::real(libm::fmod(x, y))
            }
        }
    }

    /// `-self`.
    #[inline(always)]
    pub(super) fn negated(self) -> Value {
        match self {
            Integer(number) => match number.checked_neg() {
                Some(negated) => Integer(negated),
                None => Real(integer::two_to(127)),
            },
            Real(x) => Real(0.0 - x),
        }
    }

    /// `|self|`.
    pub(super) fn magnitude(self) -> Value {
        if self.is_negative() { self.negated() } else { self }
    }

    pub(super) fn is_negative(self) -> bool {
        match self {
            Integer(number) => number < 0,
            Real(x) => x < 0.0,
        }
    }

    /// `self ^ exponent`.
    pub(super) fn power(self, exponent: Value, budget: &mut Budget) -> Outcome {
        match (self, exponent) {
            (Integer(base), Integer(exponent)) => integer_power(base, exponent, budget),
            _ => real_power(self.to_f64(), exponent.to_f64(), budget),
        }
    }

    /// `self!`: exact to 33!, rounded once to 170!.
    pub(super) fn factorial(self) -> Outcome {
        match self.to_integer() {
            Some(n @ 0..) => factorial(n),
            _ => Err(ErrorKind::FactorialDomain),
        }
    }

    /// Compares exactly, also an integer with a double, where a conversion would lose digits.
    pub(super) fn compare(self, other: Value) -> Ordering {
        match (self, other) {
            (Integer(a), Integer(b)) => a.cmp(&b),
            (Real(a), Real(b)) => a.total_cmp(&b),
            (Integer(a), Real(b)) => compare_mixed(a, b),
            (Real(a), Integer(b)) => compare_mixed(b, a).reverse(),
        }
    }
}

/// n!, for n from 0 up.
pub(super) fn factorial(n: i128) -> Outcome {
    integer::factorial(n).map_or(Err(ErrorKind::Overflow), Value::extended)
}

#[inline(always)]
fn are_small(a: i128, b: i128) -> bool {
    (a.unsigned_abs() | b.unsigned_abs()) < DOUBLE_EXACT_MAX
}

/// The integer quotient, or else the rounded one.
#[inline(never)]
fn divided(a: i128, b: i128) -> Result<i128, f64> {
    match a.checked_rem(b) {
        Some(0) => Ok(a / b),
        // Only -2^127 / -1 overflows.
        None => Err(integer::two_to(127)),
        Some(_) => {
            let magnitude = integer::quotient(a.unsigned_abs(), b.unsigned_abs());
            Err(integer::signed((a < 0) != (b < 0), magnitude))
        }
    }
}

fn integer_power(base: i128, exponent: i128, budget: &mut Budget) -> Outcome {
    budget.charge(CALL / 4)?;
    let mut times = exponent.unsigned_abs();
    if base.unsigned_abs() <= 1 && times > 2 {
        // Of the exponents of 0, 1 and -1, only the parity matters.
        times = 2 - times % 2;
    }
    match u32::try_from(times).ok().and_then(|times| base.checked_pow(times)) {
        Some(power) if exponent >= 0 => Ok(Integer(power)),
        Some(power) => Integer(1).over(Integer(power), budget),
        None => {
            budget.charge(2 * CALL)?;
            let magnitude = integer::power(base.unsigned_abs(), exponent);
            Value::real(integer::signed(base < 0 && exponent % 2 != 0, magnitude))
        }
    }
}

fn real_power(base: f64, exponent: f64, budget: &mut Budget) -> Outcome {
    if exponent == 2.0 {
        Value::real(base * base)
    } else if base == 0.0 && exponent < 0.0 {
        Err(ErrorKind::DivisionByZero)
    } else if base < 0.0 && exponent != libm::trunc(exponent) {
        Err(ErrorKind::NegativeBase)
    } else {
        budget.charge(3 * CALL / 2)?;
        Value::real(libm::pow(base, exponent))
    }
}

fn compare_mixed(a: i128, b: f64) -> Ordering {
    if b >= integer::two_to(127) {
        Ordering::Less
    } else if b < -integer::two_to(127) {
        Ordering::Greater
    } else {
        let truncated = libm::trunc(b);
        a.cmp(&(truncated as i128)).then_with(|| truncated.total_cmp(&b))
    }
}

/// Writes a JSON number.
///
/// An integer has all its digits. A double is the shortest text that reads back as the same
/// double, as in Python: plain from 0.0001 up to 1e16, `1.5e300` or `1e-5` beyond; without a
/// fraction where there is none: `0.5*4` is `2`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Integer(number) => write!(f, "{number}"),
            Real(x) if x == 0.0 || (1e-4..1e16).contains(&x.abs()) => write!(f, "{x}"),
            Real(x) => write!(f, "{x:e}"),
        }
    }
}
