//! Integer arithmetic that is exact as long as possible and rounded once beyond.
//!
//! Promises: each function that returns a double returns the one nearest to the true result, with
//! subnormal doubles included; each loop is bounded by the width of its numbers or charged to the
//! budget.
//! Leaves out: the choice between integer and double results (value.rs).

use super::budget::{Budget, STEP};
use super::error::ErrorKind;

/// 2^`exponent`, for the exponents of normal doubles: -1022 to 1023.
pub(super) const fn two_to(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

pub(super) const fn signed(negative: bool, magnitude: f64) -> f64 {
    if negative { -magnitude } else { magnitude }
}

/// |a| + |b|, with the sign of `a`.
pub(super) fn sum_of_magnitudes(a: i128, b: i128) -> f64 {
    let sum = a.unsigned_abs().checked_add(b.unsigned_abs());
    signed(a < 0, sum.map_or(two_to(128), |sum| sum as f64))
}

/// a · b, neither of them 0.
pub(super) fn product(a: i128, b: i128) -> f64 {
    let product = Extended::new(a.unsigned_abs()).times(b.unsigned_abs());
    signed((a < 0) != (b < 0), product.to_f64())
}

/// a / b, neither of them 0 nor above 2^127.
pub(super) fn quotient(a: u128, b: u128) -> f64 {
    let (bits, scale) = long_division(a, b);
    bits as f64 * two_to(scale)
}

/// a / b as bits · 2^scale: 56 bits and a sticky bit, which is set if the remainder is not 0.
/// Rounding that to 53 bits or fewer rounds the true quotient.
fn long_division(a: u128, b: u128) -> (u64, i32) {
    let scale = b.leading_zeros() as i32 - a.leading_zeros() as i32;
    // Both begin at bit 126, which leaves room to double the remainder. Only 2^127 itself has a
    // bit above, and it has none below that could be lost.
    let mut remainder = (a << a.leading_zeros()) >> 1;
    let divisor = (b << b.leading_zeros()) >> 1;
    let mut bits = 0_u64;
    for _ in 0..56 {
        let fits = remainder >= divisor;
        bits = bits << 1 | u64::from(fits);
        remainder = (if fits { remainder - divisor } else { remainder }) << 1;
    }
    (bits << 1 | u64::from(remainder != 0), scale - 56)
}

/// bits · 2^scale for 54 bits or more, rounded once. Below 2^-1022, the doubles are the multiples
/// of 2^-1074: rounding to 53 bits first and to such a multiple second would round twice.
fn rounded_once(bits: u64, scale: i32) -> f64 {
    if bits.ilog2() as i32 + scale >= -1022 {
        return libm::ldexp(bits as f64, scale);
    }
    // Subnormals drop at least one of these bits; results that drop 64 are nearest to 0.
    let dropped = (-1074 - scale).clamp(1, 63);
    let (multiple, half) = (bits >> dropped, 1 << (dropped - 1));
    let rest = bits & (2 * half - 1);
    let up = rest > half || (rest == half && multiple % 2 == 1);
    f64::from_bits(multiple + u64::from(up))
}

/// base^exponent, for a base from 2 up: infinite on overflow, 0 on underflow.
pub(super) fn power(base: u128, exponent: i128) -> f64 {
    let (mut power, mut square) = (Extended::new(1), Extended::new(base));
    let mut left = exponent.unsigned_abs();
    while left > 0 {
        if square.scale > 2 * Extended::SCALE_MAX {
            return if exponent > 0 { f64::INFINITY } else { 0.0 };
        }
        if left % 2 == 1 {
            power = power.times(square.bits).scaled(square.scale);
        }
        square = square.times(square.bits).scaled(square.scale);
        left /= 2;
    }
    if exponent > 0 {
        return power.to_f64();
    }
    // The division takes 127 bits; the last one is sticky here too.
    let (bits, scale) = long_division(1, (power.bits >> 1) | (power.bits & 1));
    rounded_once(bits, scale - power.scale as i32 - 1)
}

/// √n, where n is not a square.
pub(super) fn square_root(n: u128) -> f64 {
    // Scaled to 64 bits of root; the last one is sticky, because the remainder is not 0.
    let half = n.leading_zeros() / 2;
    let root = (n << (2 * half)).isqrt() | 1;
    root as f64 * two_to(-(half as i32))
}

/// The greatest common divisor; of 0 and n it is n.
pub(super) fn gcd(mut a: u128, mut b: u128, budget: &mut Budget) -> Result<u128, ErrorKind> {
    while b != 0 {
        budget.charge(STEP)?;
        (a, b) = (b, a % b);
    }
    Ok(a)
}

/// n!, or nothing on overflow. `n` is not negative.
pub(super) fn factorial(n: i128) -> Option<Extended> {
    FACTORIALS.get(usize::try_from(n).ok()?).copied()
}

/// 170! is the last factorial below 2^1024.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler")]
static FACTORIALS: [Extended; 171] = {
    let mut table = [Extended::new(1); 171];
    let mut n = 1;
    while n < table.len() {
        table[n] = table[n - 1].times(n as u128);
        n += 1;
    }
    table
};

/// The number of ways to choose `k` of `n`: n! / (k! (n - k)!). `k` is not above `n`.
pub(super) fn combinations(n: u128, k: u128, budget: &mut Budget) -> Result<Extended, ErrorKind> {
    // Choosing k is leaving out n - k.
    let k = k.min(n - k);
    let mut ways = Extended::new(1);
    for i in 1..=k {
        ways = ways.times_ratio(n - k + i, i, budget)?;
    }
    Ok(ways)
}

/// The number of ways to arrange `k` of `n`: n! / (n - k)!. `k` is not above `n`.
pub(super) fn permutations(n: u128, k: u128, budget: &mut Budget) -> Result<Extended, ErrorKind> {
    let mut ways = Extended::new(1);
    for i in 0..k {
        ways = ways.times_ratio(n - i, 1, budget)?;
    }
    Ok(ways)
}

/// A positive integer of any size: `bits` · 2^`scale`.
///
/// It is exact while `scale` is 0. Beyond, `bits` fills all of its 128 bits, and the last one is
/// sticky: it is set if a bit below it was cut off, so that rounding to 53 bits rounds the true
/// number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extended {
    bits: u128,
    scale: u32,
}

impl Extended {
    /// The greatest scale of a double: larger numbers overflow.
    const SCALE_MAX: u32 = 896;

    const fn new(bits: u128) -> Extended {
        Extended { bits, scale: 0 }
    }

    const fn times(self, factor: u128) -> Extended {
        if let Some(bits) = self.bits.checked_mul(factor) {
            return Extended { bits, ..self };
        }
        // The four products of the 64-bit halves, added up by their weight.
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
        Extended { bits: bits | (cut != 0) as u128, scale: self.scale + 128 - room }
    }

    const fn scaled(self, scale: u32) -> Extended {
        Extended { scale: self.scale + scale, ..self }
    }

    /// `self * factor / divisor`, which is an integer.
    fn times_ratio(
        self,
        factor: u128,
        divisor: u128,
        budget: &mut Budget,
    ) -> Result<Extended, ErrorKind> {
        budget.charge(STEP)?;
        if self.scale > Extended::SCALE_MAX {
            return Err(ErrorKind::Overflow);
        }
        if self.scale == 0 {
            if let Some(product) = self.bits.checked_mul(factor) {
                return Ok(Extended::new(product / divisor));
            }
            let common = gcd(self.bits, divisor, budget)?;
            return Ok(Extended::new(self.bits / common).times(factor / (divisor / common)));
        }
        budget.charge(2 * STEP)?;
        let Extended { bits, scale } = self.times(factor);
        let (quotient, remainder) = (bits / divisor, bits % divisor);
        let room = quotient.leading_zeros().min(scale);
        Ok(Extended { bits: quotient << room | u128::from(remainder != 0), scale: scale - room })
    }

    /// The number itself, while it is exact.
    pub(super) fn to_integer(self) -> Option<u128> {
        (self.scale == 0).then_some(self.bits)
    }

    /// The nearest double; infinite on overflow.
    pub(super) fn to_f64(self) -> f64 {
        // A scale above 896 overflows for 128 bits; two_to ends at 1023.
        self.bits as f64 * two_to(self.scale.min(1023) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::EXPRESSION_WORK_MAX;

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
        assert!(factorial(171).is_none());
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
    fn the_budget_ends() {
        let mut budget = Budget::new();
        assert_eq!(gcd(7, 0, &mut budget), Ok(7));
        assert_eq!(budget.charge(EXPRESSION_WORK_MAX), Ok(()));
        assert!(budget.charge(1).is_err() && gcd(12, 18, &mut budget).is_err());
    }
}
