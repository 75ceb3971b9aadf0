//! What the functions do that are more than a call of `libm`.
//!
//! Promises: whole arguments give whole results, exactly, wherever the function allows; the
//! others come from `libm`, so that an expression gives the same bytes on every host.
//! Leaves out: the operators (value.rs) and the names (functions.rs).

use core::cmp::Ordering;
use core::f64::consts::PI;

use super::exact::{self, Work};
use super::fault::Reason;
use super::value::{Outcome, Value};
use Value::{Integer, Real};

pub(super) fn real_of(of: fn(f64) -> f64, x: f64) -> Outcome {
    let y = of(x);
    // All functions whose result is infinite so near to 0 have a pole there.
    if y.is_nan() || (y.is_infinite() && x.abs() <= 1.0) {
        return Err(Reason::Outside);
    }
    Value::real(y)
}

pub(super) fn whole_of(of: fn(f64) -> f64, x: Value) -> Outcome {
    let Real(x) = x else { return Ok(x) };
    let rounded = Real(of(x));
    Ok(rounded.to_whole().map_or(rounded, Integer))
}

fn whole(x: Value) -> Result<i128, Reason> {
    x.to_whole().ok_or(Reason::Outside)
}

fn natural(x: Value) -> Result<u128, Reason> {
    whole(x)?.try_into().map_err(|_| Reason::Outside)
}

pub(super) fn abs(x: Value) -> Outcome {
    Ok(x.magnitude())
}

pub(super) fn sum(a: Value, b: Value, _: &mut Work) -> Outcome {
    a.plus(b)
}

pub(super) fn rest(x: Value, y: Value, work: &mut Work) -> Outcome {
    x.rest(y, work)
}

pub(super) fn power(x: Value, y: Value, work: &mut Work) -> Outcome {
    x.power(y, work)
}

pub(super) fn comb(n: Value, k: Value, work: &mut Work) -> Outcome {
    let (n, k) = (natural(n)?, natural(k)?);
    if k > n { Ok(Integer(0)) } else { exact::combinations(n, k, work) }
}

pub(super) fn perm(n: Value, k: Value, work: &mut Work) -> Outcome {
    let (n, k) = (natural(n)?, natural(k)?);
    if k > n { Ok(Integer(0)) } else { exact::permutations(n, k, work) }
}

pub(super) fn gcd(a: Value, b: Value, work: &mut Work) -> Outcome {
    let (a, b) = (whole(a)?.unsigned_abs(), whole(b)?.unsigned_abs());
    exact::gcd(a, b, work).map(|divisor| Value::whole(false, divisor))
}

pub(super) fn lcm(a: Value, b: Value, work: &mut Work) -> Outcome {
    let (a, b) = (whole(a)?.unsigned_abs(), whole(b)?.unsigned_abs());
    match exact::gcd(a, b, work)? {
        0 => Ok(Integer(0)),
        divisor => Value::whole(false, a / divisor).times(Value::whole(false, b)),
    }
}

pub(super) fn isqrt(n: Value) -> Outcome {
    natural(n).map(|n| Value::whole(false, n.isqrt()))
}

pub(super) fn sqrt(x: Value) -> Outcome {
    match x {
        Integer(n) => u128::try_from(n).map(exact::square_root).map_err(|_| Reason::Outside),
        Real(x) => real_of(libm::sqrt, x),
    }
}

pub(super) fn root(x: Value, n: Value, _: &mut Work) -> Outcome {
    match whole(n)? {
        0 => Err(Reason::Outside),
        2 => sqrt(x),
        n if n % 2 == 0 && x.is_negative() => Err(Reason::Outside),
        n => {
            let (n, magnitude) = (n as f64, x.to_f64().abs());
            let root = nearby_whole(libm::pow(magnitude, 1.0 / n), |whole| {
                libm::pow(whole, n) == magnitude
            });
            Value::real(exact::signed(x.is_negative(), root))
        }
    }
}

pub(super) fn log(x: Value, base: Value, _: &mut Work) -> Outcome {
    let (x, base) = (x.to_f64(), base.to_f64());
    if x <= 0.0 || base <= 0.0 || base == 1.0 {
        return Err(Reason::Outside);
    }
    let ratio = libm::log(x) / libm::log(base);
    Value::real(nearby_whole(ratio, |whole| libm::pow(base, whole) == x))
}

/// Where the true result is whole, one that was rounded on its way may lie beside it.
fn nearby_whole(rounded: f64, is_true: impl Fn(f64) -> bool) -> f64 {
    let whole = libm::round(rounded);
    if is_true(whole) { whole } else { rounded }
}

pub(super) fn min(a: Value, b: Value, _: &mut Work) -> Outcome {
    Ok(if b.compare(a) == Ordering::Less { b } else { a })
}

pub(super) fn max(a: Value, b: Value, _: &mut Work) -> Outcome {
    Ok(if b.compare(a) == Ordering::Greater { b } else { a })
}

pub(super) fn hypot(a: Value, b: Value, _: &mut Work) -> Outcome {
    Value::real(libm::hypot(a.to_f64(), b.to_f64()))
}

pub(super) fn fma(x: Value, y: Value, z: Value) -> Outcome {
    match (x, y, z) {
        (Integer(_), Integer(_), Integer(_)) => x.times(y)?.plus(z),
        _ => Value::real(libm::fma(x.to_f64(), y.to_f64(), z.to_f64())),
    }
}

pub(super) fn modulo(x: Value, y: Value, work: &mut Work) -> Outcome {
    let rest = x.rest(y, work)?;
    let is_zero = rest.compare(Integer(0)) == Ordering::Equal;
    if is_zero || rest.is_negative() == y.is_negative() { Ok(rest) } else { rest.plus(y) }
}

/// IEEE 754 `remainder`: of two equally near multiples, the even one counts.
pub(super) fn remainder(x: Value, y: Value, _: &mut Work) -> Outcome {
    let rest = match (x, y) {
        (_, Integer(0) | Real(0.0)) => return Err(Reason::DIVISION_BY_ZERO),
        (Integer(x), Integer(y)) => {
            let (x, y) = (x.unsigned_abs(), y.unsigned_abs());
            let (below, above) = (x % y, y - x % y);
            let up = below > above || (below == above && x / y % 2 == 1);
            Value::whole(up, if up { above } else { below })
        }
        _ => {
            let (x, y) = (x.to_f64().abs(), y.to_f64().abs());
            // Modulo 2y the multiples are 0, y and 2y. If 2y is beyond the doubles, x is below.
            let mut rest = if (y + y).is_finite() { libm::fmod(x, y + y) } else { x };
            if rest + rest > y {
                rest -= y;
                // Between y and 2y the middle belongs to 2y, which is the even multiple.
                rest -= if rest + rest >= y { y } else { 0.0 };
            }
            Value::real(rest)?
        }
    };
    Ok(if x.is_negative() { rest.negated() } else { rest })
}

pub(super) fn copysign(x: Value, y: Value, _: &mut Work) -> Outcome {
    Ok(if x.is_negative() == y.is_negative() { x } else { x.negated() })
}

pub(super) fn ldexp(x: Value, n: Value, _: &mut Work) -> Outcome {
    // Beyond 5,000 every result is the same as there.
    Value::real(libm::ldexp(x.to_f64(), whole(n)?.clamp(-5000, 5000) as i32))
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
    match x.to_whole() {
        Some(n @ 1..) => exact::factorial(n - 1).ok_or(Reason::OVERFLOW),
        Some(_) => Err(Reason::Outside),
        None => real_of(libm::tgamma, x.to_f64()),
    }
}

pub(super) fn lgamma(x: Value) -> Outcome {
    match x.to_whole() {
        Some(..=0) => Err(Reason::Outside),
        _ => real_of(libm::lgamma, x.to_f64()),
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
