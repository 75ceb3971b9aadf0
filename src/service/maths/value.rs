//! A number on one of two tracks, and the operators between numbers.
//!
//! Promises: whole numbers are exact as long as they fit 128 bits; `+ - * / %` are correctly
//! rounded where they leave the whole numbers; a `Real` is finite and never -0.0.
//! Leaves out: names (functions.rs), places in the text (grammar.rs).

use core::cmp::Ordering;
use core::fmt;

use super::exact::{self, CALL, Work};
use super::fault::Reason;

/// A number: the argument and the result of everything in this room.
///
/// Two values are equal when track and number are: `Integer(2) != Real(2.0)`, though both are
/// written `2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number, exact.
    Integer(i128),
    /// A double, finite and never -0.0.
    Real(f64),
}

use Value::{Integer, Real};

/// What an operator or a function makes: a number, or the reason why there is none.
pub(super) type Outcome = Result<Value, Reason>;

/// Whole numbers of less than this are doubles too, and so is each step of their division.
const DOUBLE_EXACT_MAX: u128 = 1 << 53;

impl Value {
    /// The double that an operation gave: no infinity, no NaN and no -0.0 gets past here.
    pub(super) fn real(x: f64) -> Outcome {
        // -0.0 + 0.0 is 0.0; every other number stays what it is.
        if x.is_finite() { Ok(Real(x + 0.0)) } else { Err(Reason::OVERFLOW) }
    }

    /// A whole number given as sign and magnitude: exact if it fits.
    pub(super) fn whole(negative: bool, magnitude: u128) -> Value {
        let number = if negative {
            0_i128.checked_sub_unsigned(magnitude)
        } else {
            0_i128.checked_add_unsigned(magnitude)
        };
        number.map_or_else(|| Real(exact::signed(negative, magnitude as f64)), Integer)
    }

    /// The nearest double.
    #[inline(always)]
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Integer(number) => match i64::try_from(number) {
                // The processor converts these by itself.
                Ok(small) => small as f64,
                Err(_) => number as f64,
            },
            Real(x) => x,
        }
    }

    /// The whole number that this is, on whichever track.
    pub(super) fn to_whole(self) -> Option<i128> {
        match self {
            Integer(number) => Some(number),
            Real(x) => (x.abs() < exact::two_to(127) && x == libm::trunc(x)).then_some(x as i128),
        }
    }

    /// `self + other`.
    #[inline(always)]
    pub(super) fn plus(self, other: Value) -> Outcome {
        match (self, other) {
            (Integer(a), Integer(b)) => match a.checked_add(b) {
                Some(sum) => Ok(Integer(sum)),
                None => Ok(Real(exact::total(a, b))),
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
                // Their signs differ, or it would have fitted: the magnitudes add up.
                None => Ok(Real(exact::total(a, b))),
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
                None => Ok(Real(exact::product(a, b))),
            },
            _ => Value::real(self.to_f64() * other.to_f64()),
        }
    }

    /// `self / other`: exact when it divides, a double otherwise.
    #[inline(always)]
    pub(super) fn over(self, other: Value, work: &mut Work) -> Outcome {
        match (self, other) {
            (_, Integer(0) | Real(0.0)) => Err(Reason::DIVISION_BY_ZERO),
            (Integer(a), Integer(b)) if are_small(a, b) => {
                let (small, divisor) = (a as i64, b as i64);
                if small % divisor == 0 {
                    Ok(Integer(i128::from(small / divisor)))
                } else {
                    Ok(Real(small as f64 / divisor as f64))
                }
            }
            (Integer(a), Integer(b)) => {
                work.charge(2 * CALL)?;
                Ok(match divided(a, b) {
                    Ok(whole) => Integer(whole),
                    Err(rounded) => Real(rounded),
                })
            }
            _ => Value::real(self.to_f64() / other.to_f64()),
        }
    }

    /// `self % other`: what is left of `self`, with its sign.
    pub(super) fn rest(self, other: Value, work: &mut Work) -> Outcome {
        match (self, other) {
            (_, Integer(0) | Real(0.0)) => Err(Reason::DIVISION_BY_ZERO),
            (Integer(a), Integer(b)) if are_small(a, b) => {
                Ok(Integer(i128::from(a as i64 % b as i64)))
            }
            (Integer(a), Integer(b)) => Ok(Integer(a.wrapping_rem(b))),
            _ => {
                let (x, y) = (self.to_f64(), other.to_f64());
                // The further they are apart, the more often it subtracts.
                work.charge(if x.abs() > 1e9 * y.abs() { 2 * CALL } else { 0 })?;
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
                None => Real(exact::two_to(127)),
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
    pub(super) fn power(self, exponent: Value, work: &mut Work) -> Outcome {
        match (self, exponent) {
            (Integer(base), Integer(exponent)) => integer_power(base, exponent, work),
            _ => real_power(self.to_f64(), exponent.to_f64(), work),
        }
    }

    /// `self!`: exact to 33!, correctly rounded to 170!.
    pub(super) fn factorial(self) -> Outcome {
        match self.to_whole() {
            Some(n @ 0..) => exact::factorial(n).ok_or(Reason::OVERFLOW),
            _ => {
                Err(Reason::Say("! takes whole numbers from 0 to 170: for others write gamma(x+1)"))
            }
        }
    }

    /// Which is greater: exact between the tracks too, where a conversion would lose digits.
    pub(super) fn compare(self, other: Value) -> Ordering {
        match (self, other) {
            (Integer(a), Integer(b)) => a.cmp(&b),
            (Real(a), Real(b)) => a.total_cmp(&b),
            (Integer(a), Real(b)) => compare_tracks(a, b),
            (Real(a), Integer(b)) => compare_tracks(b, a).reverse(),
        }
    }
}

#[inline(always)]
fn are_small(a: i128, b: i128) -> bool {
    (a.unsigned_abs() | b.unsigned_abs()) < DOUBLE_EXACT_MAX
}

/// A whole quotient, or else the rounded one.
#[inline(never)]
fn divided(a: i128, b: i128) -> Result<i128, f64> {
    match a.checked_rem(b) {
        Some(0) => Ok(a / b),
        // Only -2^127 / -1 overflows.
        None => Err(exact::two_to(127)),
        Some(_) => {
            let magnitude = exact::quotient(a.unsigned_abs(), b.unsigned_abs());
            Err(exact::signed((a < 0) != (b < 0), magnitude))
        }
    }
}

fn integer_power(base: i128, exponent: i128, work: &mut Work) -> Outcome {
    work.charge(CALL / 4)?;
    let mut times = exponent.unsigned_abs();
    if base.unsigned_abs() <= 1 && times > 2 {
        // 0, 1 and -1 know only whether the exponent is odd.
        times = 2 - times % 2;
    }
    match u32::try_from(times).ok().and_then(|times| base.checked_pow(times)) {
        Some(power) if exponent >= 0 => Ok(Integer(power)),
        Some(power) => Integer(1).over(Integer(power), work),
        None => {
            work.charge(2 * CALL)?;
            let magnitude = exact::power(base.unsigned_abs(), exponent);
            Value::real(exact::signed(base < 0 && exponent % 2 != 0, magnitude))
        }
    }
}

fn real_power(base: f64, exponent: f64, work: &mut Work) -> Outcome {
    if exponent == 2.0 {
        Value::real(base * base)
    } else if base == 0.0 && exponent < 0.0 {
        Err(Reason::DIVISION_BY_ZERO)
    } else if base < 0.0 && exponent != libm::trunc(exponent) {
        Err(Reason::Say("a power of a negative number needs a whole exponent"))
    } else {
        work.charge(3 * CALL / 2)?;
        Value::real(libm::pow(base, exponent))
    }
}

fn compare_tracks(a: i128, b: f64) -> Ordering {
    if b >= exact::two_to(127) {
        Ordering::Less
    } else if b < -exact::two_to(127) {
        Ordering::Greater
    } else {
        let whole = libm::trunc(b);
        a.cmp(&(whole as i128)).then_with(|| whole.total_cmp(&b))
    }
}

/// The JSON number, and nothing else.
///
/// An integer has all its digits. A double is the shortest text that reads back as the same
/// double, the way Python writes it: plain from 0.0001 up to 1e16, as `1.5e300` or `1e-5`
/// beyond; without a fraction where there is none: `0.5*4` is `2`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Integer(number) => write!(f, "{number}"),
            Real(x) if x == 0.0 || (1e-4..1e16).contains(&x.abs()) => write!(f, "{x}"),
            Real(x) => write!(f, "{x:e}"),
        }
    }
}
