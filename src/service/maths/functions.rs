//! The functions that are more than a call of `libm`.
//!
//! Promises: integer arguments give exact integer results wherever the function allows; the other
//! results come from `libm`, so that an expression has the same value on each host.
//! Leaves out: the operators (value.rs), and names and argument counts (builtins.rs).

use core::cmp::Ordering;
use core::f64::consts::PI;

use super::budget::Budget;
use super::error::ErrorKind;
use super::integer;
use super::value::{self, Outcome, Value};
use Value::{Integer, Real};

pub(super) fn real(function: fn(f64) -> f64, x: f64) -> Outcome {
    let y = function(x);
    // An infinite result this near to 0 is a pole, not an overflow.
    if y.is_nan() || (y.is_infinite() && x.abs() <= 1.0) {
        return Err(ErrorKind::Domain);
    }
    Value::real(y)
}

pub(super) fn rounded(function: fn(f64) -> f64, x: Value) -> Outcome {
    let Real(x) = x else { return Ok(x) };
    let rounded = Real(function(x));
    Ok(rounded.to_integer().map_or(rounded, Integer))
}

fn integer(x: Value) -> Result<i128, ErrorKind> {
    x.to_integer().ok_or(ErrorKind::Domain)
}

fn natural(x: Value) -> Result<u128, ErrorKind> {
    integer(x)?.try_into().map_err(|_| ErrorKind::Domain)
}

pub(super) fn comb(n: Value, k: Value, budget: &mut Budget) -> Outcome {
    let (n, k) = (natural(n)?, natural(k)?);
    if k > n {
        Ok(Integer(0))
    } else {
        integer::combinations(n, k, budget).and_then(Value::extended)
    }
}

pub(super) fn perm(n: Value, k: Value, budget: &mut Budget) -> Outcome {
    let (n, k) = (natural(n)?, natural(k)?);
    if k > n {
        Ok(Integer(0))
    } else {
        integer::permutations(n, k, budget).and_then(Value::extended)
    }
}

pub(super) fn gcd(a: Value, b: Value, budget: &mut Budget) -> Outcome {
    let (a, b) = (integer(a)?.unsigned_abs(), integer(b)?.unsigned_abs());
    integer::gcd(a, b, budget).map(|divisor| Value::integer(false, divisor))
}

pub(super) fn lcm(a: Value, b: Value, budget: &mut Budget) -> Outcome {
    let (a, b) = (integer(a)?.unsigned_abs(), integer(b)?.unsigned_abs());
    match integer::gcd(a, b, budget)? {
        0 => Ok(Integer(0)),
        divisor => Value::integer(false, a / divisor).times(Value::integer(false, b)),
    }
}

pub(super) fn isqrt(n: Value) -> Outcome {
    natural(n).map(|n| Value::integer(false, n.isqrt()))
}

pub(super) fn sqrt(x: Value) -> Outcome {
    match x {
        Integer(_) => {
            let n = natural(x)?;
            let root = n.isqrt();
            Ok(if root * root == n {
                Value::integer(false, root)
            } else {
                Real(integer::square_root(n))
            })
        }
        Real(x) => real(libm::sqrt, x),
    }
}

pub(super) fn root(x: Value, n: Value, _: &mut Budget) -> Outcome {
    match integer(n)? {
        0 => Err(ErrorKind::Domain),
        2 => sqrt(x),
        n if n % 2 == 0 && x.is_negative() => Err(ErrorKind::Domain),
        n => {
            let (n, magnitude) = (n as f64, x.to_f64().abs());
            let root = nearby_integer(libm::pow(magnitude, 1.0 / n), |whole| {
                libm::pow(whole, n) == magnitude
            });
            Value::real(integer::signed(x.is_negative(), root))
        }
    }
}

pub(super) fn log(x: Value, base: Value, _: &mut Budget) -> Outcome {
    let (x, base) = (x.to_f64(), base.to_f64());
    if x <= 0.0 || base <= 0.0 || base == 1.0 {
        return Err(ErrorKind::Domain);
    }
    let ratio = libm::log(x) / libm::log(base);
    Value::real(nearby_integer(ratio, |whole| libm::pow(base, whole) == x))
}

/// The integer next to `rounded` if it is the true result: an intermediate rounding may have
/// missed it.
fn nearby_integer(rounded: f64, is_true: impl Fn(f64) -> bool) -> f64 {
    let whole = libm::round(rounded);
    if is_true(whole) { whole } else { rounded }
}

pub(super) fn min(a: Value, b: Value, _: &mut Budget) -> Outcome {
    Ok(if b.compare(a) == Ordering::Less { b } else { a })
}

pub(super) fn max(a: Value, b: Value, _: &mut Budget) -> Outcome {
    Ok(if b.compare(a) == Ordering::Greater { b } else { a })
}

pub(super) fn hypot(a: Value, b: Value, _: &mut Budget) -> Outcome {
    Value::real(libm::hypot(a.to_f64(), b.to_f64()))
}

pub(super) fn fma(x: Value, y: Value, z: Value) -> Outcome {
    match (x, y, z) {
        (Integer(_), Integer(_), Integer(_)) => x.times(y)?.plus(z),
        _ => Value::real(libm::fma(x.to_f64(), y.to_f64(), z.to_f64())),
    }
}

pub(super) fn modulo(x: Value, y: Value, budget: &mut Budget) -> Outcome {
    let rest = x.remainder(y, budget)?;
    let is_zero = rest.compare(Integer(0)) == Ordering::Equal;
    if is_zero || rest.is_negative() == y.is_negative() { Ok(rest) } else { rest.plus(y) }
}

/// IEEE 754 `remainder`: a tie between two multiples goes to the even one.
pub(super) fn remainder(x: Value, y: Value, _: &mut Budget) -> Outcome {
    let rest = match (x, y) {
        (_, Integer(0) | Real(0.0)) => return Err(ErrorKind::DivisionByZero),
        (Integer(x), Integer(y)) => {
            let (x, y) = (x.unsigned_abs(), y.unsigned_abs());
            let (below, above) = (x % y, y - x % y);
            let up = below > above || (below == above && x / y % 2 == 1);
            Value::integer(up, if up { above } else { below })
        }
        _ => {
            let (x, y) = (x.to_f64().abs(), y.to_f64().abs());
            // Modulo 2y the multiples are 0, y and 2y. If 2y overflows, x is below it.
            let mut rest = if (y + y).is_finite() { libm::fmod(x, y + y) } else { x };
            if rest + rest > y {
                rest -= y;
                // The tie between y and 2y goes to 2y, the even multiple.
                rest -= if rest + rest >= y { y } else { 0.0 };
            }
            Value::real(rest)?
        }
    };
    Ok(if x.is_negative() { rest.negated() } else { rest })
}

pub(super) fn copysign(x: Value, y: Value, _: &mut Budget) -> Outcome {
    Ok(if x.is_negative() == y.is_negative() { x } else { x.negated() })
}

pub(super) fn ldexp(x: Value, n: Value, _: &mut Budget) -> Outcome {
    // Beyond 5,000 each result is the same as at 5,000.
    Value::real(libm::ldexp(x.to_f64(), integer(n)?.clamp(-5000, 5000) as i32))
}

pub(super) fn fraction(x: Value) -> Outcome {
    match x {
        Integer(_) => Ok(Integer(0)),
        Real(x) => Value::real(x - libm::trunc(x)),
    }
}

pub(super) fn sign(x: Value) -> Outcome {
    Ok(Integer(x.compare(Integer(0)) as i128))
}

pub(super) fn gamma(x: Value) -> Outcome {
    match x.to_integer() {
        Some(n @ 1..) => value::factorial(n - 1),
        Some(_) => Err(ErrorKind::Domain),
        None => real(libm::tgamma, x.to_f64()),
    }
}

pub(super) fn lgamma(x: Value) -> Outcome {
    match x.to_integer() {
        Some(..=0) => Err(ErrorKind::Domain),
        _ => real(libm::lgamma, x.to_f64()),
    }
}

pub(super) fn acosh(x: f64) -> f64 {
    // libm 0.2.16 gives numbers below -1.
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

pub(super) fn degrees(x: f64) -> f64 {
    x * (180.0 / PI)
}

pub(super) fn radians(x: f64) -> f64 {
    x * (PI / 180.0)
}

pub(super) fn ulp(x: f64) -> f64 {
    let x = x.abs();
    let next = x.next_up();
    if next.is_finite() { next - x } else { x - x.next_down() }
}
