//! Arithmetic that keeps every digit as long as it can, and rounds once where it cannot.
//!
//! Promises: each function that gives a double gives the one nearest to the true result; every
//! loop is bounded by the width of its numbers or paid for from the expression's `Work`.
//! Leaves out: signs and tracks (value.rs).

use super::fault::Reason;
use super::value::Value;
use crate::limits::EXPRESSION_WORK_MAX;

/// What an expression may still cost, in units of about a nanosecond.
///
/// Plain steps are not counted: the length of the text bounds them. Counted is what costs more
/// than its few bytes suggest, so that no text, however made, takes long.
pub(super) struct Work(u32);

impl Work {
    pub(super) const fn new() -> Work {
        Work(EXPRESSION_WORK_MAX)
    }

    pub(super) fn charge(&mut self, cost: u32) -> Result<(), Reason> {
        self.0 = self
            .0
            .checked_sub(cost)
            .ok_or(Reason::Say("too much work for one expression: split it in two"))?;
        Ok(())
    }
}

/// `Work` of a call, which takes that many nanoseconds at worst, all in all.
pub(super) const CALL: u32 = 100;

/// `Work` of one turn of a loop.
const STEP: u32 = 12;

/// 2^`exponent`, for the exponents of normal doubles: -1022 to 1023.
pub(super) const fn two_to(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

pub(super) const fn signed(negative: bool, magnitude: f64) -> f64 {
    if negative { -magnitude } else { magnitude }
}

/// |a| + |b|, with the sign of `a`.
pub(super) fn total(a: i128, b: i128) -> f64 {
    let sum = a.unsigned_abs().checked_add(b.unsigned_abs());
    signed(a < 0, sum.map_or(two_to(128), |sum| sum as f64))
}

/// a · b, neither of them 0.
pub(super) fn product(a: i128, b: i128) -> f64 {
    let product = Wide::new(a.unsigned_abs()).times(b.unsigned_abs());
    signed((a < 0) != (b < 0), product.to_f64().unwrap_or(f64::INFINITY))
}

/// a / b, rounded once; neither is 0 or above 2^127.
pub(super) fn quotient(a: u128, b: u128) -> f64 {
    let (bits, scale) = long_division(a, b);
    bits as f64 * two_to(scale)
}

/// a / b as bits · 2^scale: 56 bits and a sticky bit, which is set if the remainder is not 0.
/// Rounding that to 53 bits or fewer rounds the true quotient.
fn long_division(a: u128, b: u128) -> (u64, i32) {
    let scale = b.leading_zeros() as i32 - a.leading_zeros() as i32;
    // Both begin at bit 126, which leaves room to double the rest. Only 2^127 itself has a bit
    // above, and none below that could be lost.
    let mut rest = (a << a.leading_zeros()) >> 1;
    let divisor = (b << b.leading_zeros()) >> 1;
    let mut bits = 0_u64;
    for _ in 0..56 {
        let fits = rest >= divisor;
        bits = bits << 1 | u64::from(fits);
        rest = (if fits { rest - divisor } else { rest }) << 1;
    }
    (bits << 1 | u64::from(rest != 0), scale - 56)
}

/// bits · 2^scale for 53 bits or more, rounded once. Below 2^-1022 doubles are the multiples of
/// 2^-1074: rounding to 53 bits first and then to those would be rounding twice.
fn rounded_once(bits: u64, scale: i32) -> f64 {
    if bits.ilog2() as i32 + scale >= -1022 {
        return libm::ldexp(bits as f64, scale);
    }
    // A result below 2^-1022 drops at least one bit; one that drops 64 is below 2^-1075.
    let dropped = (-1074 - scale).clamp(1, 63);
    let (multiple, half) = (bits >> dropped, 1 << (dropped - 1));
    let rest = bits & (2 * half - 1);
    let up = rest > half || (rest == half && multiple % 2 == 1);
    f64::from_bits(multiple + u64::from(up))
}

/// base^exponent, for a base from 2 up: infinite or 0 where it is beyond the doubles.
pub(super) fn power(base: u128, exponent: i128) -> f64 {
    let (mut power, mut square) = (Wide::new(1), Wide::new(base));
    let mut left = exponent.unsigned_abs();
    while left > 0 {
        if square.scale > 2 * Wide::SCALE_MAX {
            return if exponent > 0 { f64::INFINITY } else { 0.0 };
        }
        if left % 2 == 1 {
            power = power.times(square.bits).scaled(square.scale);
        }
        square = square.times(square.bits).scaled(square.scale);
        left /= 2;
    }
    if exponent > 0 {
        return power.to_f64().unwrap_or(f64::INFINITY);
    }
    // `quotient` takes 127 bits; the last one is sticky here too.
    let bits = (power.bits >> 1) | (power.bits & 1);
    let (bits, scale) = long_division(1, bits);
    rounded_once(bits, scale - power.scale as i32 - 1)
}

/// √n: exact when n is a square.
pub(super) fn square_root(n: u128) -> Value {
    let root = n.isqrt();
    if root * root == n {
        return Value::whole(false, root);
    }
    // Scaled to 64 bits of root, and the last one set because there is a rest.
    let half = n.leading_zeros() / 2;
    let root = (n << (2 * half)).isqrt() | 1;
    Value::Real(root as f64 * two_to(-(half as i32)))
}

/// The greatest common divisor; of 0 and n it is n.
pub(super) fn gcd(mut a: u128, mut b: u128, work: &mut Work) -> Result<u128, Reason> {
    while b != 0 {
        work.charge(STEP)?;
        (a, b) = (b, a % b);
    }
    Ok(a)
}

/// n!, or nothing where it is beyond the doubles. `n` is not negative.
pub(super) fn factorial(n: i128) -> Option<Value> {
    let n = usize::try_from(n).ok()?;
    let exact = FACTORIALS_EXACT.get(n).map(|&exact| Value::Integer(exact));
    exact.or_else(|| FACTORIALS.get(n).map(|&rounded| Value::Real(rounded)))
}

/// 33! is the last below 2^127.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler")]
const FACTORIALS_EXACT: [i128; 34] = {
    let mut table = [1; 34];
    let mut n = 1;
    while n < table.len() {
        table[n] = table[n - 1] * n as i128;
        n += 1;
    }
    table
};

/// 170! is the last below 2^1024.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler")]
static FACTORIALS: [f64; 171] = {
    let mut table = [1.0; 171];
    let mut factorial = Wide::new(1);
    let mut n = 1;
    while n < table.len() {
        factorial = factorial.times(n as u128);
        if let Some(rounded) = factorial.to_f64() {
            table[n] = rounded;
        }
        n += 1;
    }
    table
};

/// How many ways there are to choose `k` of `n` things: n! / (k! (n - k)!). `k` is not above `n`.
pub(super) fn combinations(n: u128, k: u128, work: &mut Work) -> Result<Value, Reason> {
    // Those that are left determine those that are taken.
    let k = k.min(n - k);
    let mut ways = Wide::new(1);
    for i in 1..=k {
        ways = ways.times_ratio(n - k + i, i, work)?;
    }
    ways.to_value()
}

/// How many ways there are to put `k` of `n` things in a row: n! / (n - k)!. `k` is not above `n`.
pub(super) fn permutations(n: u128, k: u128, work: &mut Work) -> Result<Value, Reason> {
    let mut ways = Wide::new(1);
    for i in 0..k {
        ways = ways.times_ratio(n - i, 1, work)?;
    }
    ways.to_value()
}

/// A whole number above 0 of any size: `bits` · 2^`scale`.
///
/// Exact while `scale` is 0. Beyond, `bits` fills all of its 128 bits, and its last bit is set
/// if anything was cut off behind it: rounding that to 53 bits rounds the true number.
#[derive(Clone, Copy)]
struct Wide {
    bits: u128,
    scale: u32,
}

impl Wide {
    /// `bits` of 2^128 and more, with this scale, are beyond the doubles.
    const SCALE_MAX: u32 = 896;

    const fn new(bits: u128) -> Wide {
        Wide { bits, scale: 0 }
    }

    const fn times(self, factor: u128) -> Wide {
        if let Some(bits) = self.bits.checked_mul(factor) {
            return Wide { bits, ..self };
        }
        // The four products of the halves, added up by their weight.
        const HALF: u128 = u64::MAX as u128;
        let (high, low) = (self.bits >> 64, self.bits & HALF);
        let (factor_high, factor_low) = (factor >> 64, factor & HALF);
        let (upper, lower) = (high * factor_low, low * factor_high);
        let least = low * factor_low;
        let middle = (least >> 64) + (upper & HALF) + (lower & HALF);
        let top = high * factor_high + (upper >> 64) + (lower >> 64) + (middle >> 64);
        let bottom = (middle << 64) | (least & HALF);
        let room = top.leading_zeros();
        let (bits, cut) = match room {
            0 => (top, bottom),
            1..=127 => (top << room | bottom >> (128 - room), bottom << room),
            _ => (bottom, 0),
        };
        Wide { bits: bits | (cut != 0) as u128, scale: self.scale + 128 - room }
    }

    const fn scaled(self, scale: u32) -> Wide {
        Wide { scale: self.scale + scale, ..self }
    }

    /// `self * factor / divisor`, which is known to be whole.
    fn times_ratio(self, factor: u128, divisor: u128, work: &mut Work) -> Result<Wide, Reason> {
        work.charge(STEP)?;
        if self.scale > Wide::SCALE_MAX {
            return Err(Reason::OVERFLOW);
        }
        if self.scale == 0 {
            if let Some(product) = self.bits.checked_mul(factor) {
                return Ok(Wide::new(product / divisor));
            }
            let common = gcd(self.bits, divisor, work)?;
            return Ok(Wide::new(self.bits / common).times(factor / (divisor / common)));
        }
        work.charge(2 * STEP)?;
        let Wide { bits, scale } = self.times(factor);
        let (quotient, rest) = (bits / divisor, bits % divisor);
        let room = quotient.leading_zeros().min(scale);
        Ok(Wide { bits: quotient << room | u128::from(rest != 0), scale: scale - room })
    }

    const fn to_f64(self) -> Option<f64> {
        if self.scale > Wide::SCALE_MAX {
            return None;
        }
        let rounded = self.bits as f64 * two_to(self.scale as i32);
        if rounded.is_finite() { Some(rounded) } else { None }
    }

    fn to_value(self) -> Result<Value, Reason> {
        match self.scale {
            0 => Ok(Value::whole(false, self.bits)),
            _ => self.to_f64().map(Value::Real).ok_or(Reason::OVERFLOW),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorials_are_the_nearest_doubles() {
        // Exactly, in digits of 64 bits, lowest first.
        let mut digits = vec![1_u64];
        for n in 1..=170_u64 {
            let mut carry = 0_u128;
            for digit in &mut digits {
                let product = u128::from(*digit) * u128::from(n) + carry;
                *digit = product as u64;
                carry = product >> 64;
            }
            if carry > 0 {
                digits.push(carry as u64);
            }
            let top = digits
                .iter()
                .rev()
                .take(2)
                .fold(0_u128, |top, &digit| top << 64 | u128::from(digit));
            let below = digits.iter().rev().skip(2).any(|&digit| digit != 0);
            let scale = 64 * digits.len().saturating_sub(2) as i32;
            let nearest = (top | u128::from(below)) as f64 * two_to(scale);
            let found = factorial(i128::from(n)).unwrap().to_f64();
            assert_eq!(found, nearest, "{n}!");
        }
        assert_eq!(factorial(171), None);
    }

    #[test]
    fn quotients_are_rounded_once() {
        for (a, b, nearest) in [
            (1, 3, 1.0 / 3.0),
            (i128::MAX as u128, 1 << 127, 1.0),
            (1 << 127, 1, 1.7014118346046923e38),
            ((1 << 53) + 1, 1, 9007199254740992.0),
            ((1 << 54) + 3, 2, 9007199254740994.0),
            (1, i128::MAX as u128, 5.877471754111438e-39),
        ] {
            assert_eq!(quotient(a, b), nearest, "{a}/{b}");
        }
    }

    #[test]
    fn work_ends() {
        let mut work = Work::new();
        assert_eq!(gcd(7, 0, &mut work), Ok(7));
        assert_eq!(work.charge(EXPRESSION_WORK_MAX), Ok(()));
        assert!(work.charge(1).is_err() && gcd(12, 18, &mut work).is_err());
    }
}
