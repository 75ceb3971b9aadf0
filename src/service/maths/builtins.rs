//! The built-in functions and constants, by name.
//!
//! Promises: one table has all of a function: form, meaning, example, argument count and
//! implementation; the lookup of a name takes constant time.
//! Leaves out: the implementations (functions.rs) and the syntax of calls (parser.rs).

use core::f64::consts::{E, PI, TAU};
use core::ops::RangeInclusive;

use super::budget::{Budget, CALL};
use super::error::ErrorKind;
use super::functions::*;
use super::value::{Outcome, Value};
use Body::{Binary, F64, F64Pair, Fold, Mean, Rounding, Ternary, Unary};
use Value::{Integer, Real};

/// A function.
pub(super) struct Function {
    pub(super) entry: Entry,
    name: &'static str,
    /// The least and the greatest argument count.
    pub(super) arity: RangeInclusive<usize>,
    body: Body,
}

/// The documentation of an operator, a constant or a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The syntax: `x ^ y`, `pi`, `atan2(y, x)`. An ellipsis means any number of arguments.
    pub form: &'static str,
    /// The meaning, in one line.
    pub about: &'static str,
    /// An expression that uses it.
    pub example: &'static str,
    /// The value of that expression.
    pub result: &'static str,
}

impl Entry {
    /// The name of a function or constant: `atan2`; the form of an operator.
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

enum Body {
    F64(fn(f64) -> f64),
    F64Pair(fn(f64, f64) -> f64),
    /// From a double to an integer; an integer is its own result.
    Rounding(fn(f64) -> f64),
    Unary(fn(Value) -> Outcome),
    Binary(fn(Value, Value, &mut Budget) -> Outcome),
    Ternary(fn(Value, Value, Value) -> Outcome),
    /// Of one argument or more, from the left, with this initial value if there is one.
    Fold(Option<i128>, fn(Value, Value, &mut Budget) -> Outcome),
    Mean,
}

/// All functions. The message of a domain error contains `about`.
pub(super) static FUNCTIONS: [Function; 62] = [
    row(["abs(x)", "magnitude of x", "abs(-3)", "3"], Unary(|x| Ok(x.magnitude()))),
    row(["acos(x)", "inverse of cos, x from -1 to 1", "acos(1)", "0"], F64(libm::acos)),
    row(["acosh(x)", "inverse of cosh, x from 1 up", "acosh(1)", "0"], F64(acosh)),
    row(["asin(x)", "inverse of sin, x from -1 to 1", "asin(0)", "0"], F64(libm::asin)),
    row(["asinh(x)", "inverse of sinh", "asinh(0)", "0"], F64(libm::asinh)),
    row(["atan(x)", "inverse of tan", "4*atan(1)", "3.141592653589793"], F64(libm::atan)),
    row(["atan2(y, x)", "angle of the point (x, y)", "atan2(0, 1)", "0"], F64Pair(libm::atan2)),
    row(["atanh(x)", "inverse of tanh, x between -1 and 1", "atanh(0)", "0"], F64(libm::atanh)),
    row(["avg(x, ...)", "arithmetic mean", "avg(1, 2, 6)", "3"], Mean),
    row(["cbrt(x)", "cube root", "cbrt(-27)", "-3"], F64(libm::cbrt)),
    row(["ceil(x)", "least integer not below x", "ceil(1.2)", "2"], Rounding(libm::ceil)),
    row(["comb(n, k)", "ways to choose k of n, both integers", "comb(5, 2)", "10"], Binary(comb)),
    row(["copysign(x, y)", "x with the sign of y", "copysign(3, -1)", "-3"], Binary(copysign)),
    row(["cos(x)", "cosine of x in radians", "cos(0)", "1"], F64(libm::cos)),
    row(["cosh(x)", "hyperbolic cosine", "cosh(0)", "1"], F64(libm::cosh)),
    row(["deg(x)", "as degrees(x)", "deg(pi)", "180"], F64(degrees)),
    row(["degrees(x)", "radians to degrees", "degrees(pi)", "180"], F64(degrees)),
    row(["erf(x)", "error function", "erf(0)", "0"], F64(libm::erf)),
    row(["erfc(x)", "1 - erf(x)", "erfc(0)", "1"], F64(libm::erfc)),
    row(["exp(x)", "e^x", "exp(2)", "7.38905609893065"], F64(libm::exp)),
    row(["exp2(x)", "2^x", "exp2(0.5)", "1.4142135623730951"], F64(libm::exp2)),
    row(["expm1(x)", "e^x - 1, precise near 0", "expm1(1e-20)", "1e-20"], F64(libm::expm1)),
    row(["fabs(x)", "as abs(x)", "fabs(-0.5)", "0.5"], Unary(|x| Ok(x.magnitude()))),
    row(["fact(n)", "as factorial(n)", "fact(5)", "120"], Unary(Value::factorial)),
    row(["factorial(n)", "n!", "factorial(20)", "2432902008176640000"], Unary(Value::factorial)),
    row(["floor(x)", "greatest integer not above x", "floor(-1.2)", "-2"], Rounding(libm::floor)),
    row(["fma(x, y, z)", "x*y+z, rounded once", "fma(2, 3, 4)", "10"], Ternary(fma)),
    row(["fmod(x, y)", "x%y, with the sign of x", "fmod(-10, 3)", "-1"], Binary(Value::remainder)),
    row(["frac(x)", "x - trunc(x)", "frac(-2.75)", "-0.75"], Unary(fraction)),
    row(["gamma(x)", "gamma function, not for 0, -1, -2, ...", "gamma(5)", "24"], Unary(gamma)),
    row(
        ["gcd(n, ...)", "greatest common divisor of integers", "gcd(12, 18)", "6"],
        Fold(Some(0), gcd),
    ),
    row(["hypot(x, ...)", "root of the sum of squares", "hypot(3, 4)", "5"], Fold(Some(0), hypot)),
    row(
        ["isqrt(n)", "integer part of sqrt(n), n an integer from 0 up", "isqrt(17)", "4"],
        Unary(isqrt),
    ),
    row(
        ["lcm(n, ...)", "least common multiple of integers", "lcm(4, 6)", "12"],
        Fold(Some(1), lcm),
    ),
    row(["ldexp(x, n)", "x * 2^n, n an integer", "ldexp(0.75, 3)", "6"], Binary(ldexp)),
    row(["lgamma(x)", "ln(|gamma(x)|), not for 0, -1, -2, ...", "lgamma(2)", "0"], Unary(lgamma)),
    row(["ln(x)", "natural logarithm, for x above 0", "ln(e)", "1"], F64(libm::log)),
    row(
        ["log(x, base)", "logarithm, x and base above 0, base not 1", "log(8, 2)", "3"],
        Binary(log),
    ),
    row(["log10(x)", "logarithm to base 10, for x above 0", "log10(1000)", "3"], F64(libm::log10)),
    row(["log1p(x)", "ln(1+x), x above -1", "log1p(1e-20)", "1e-20"], F64(libm::log1p)),
    row(["log2(x)", "logarithm to base 2, for x above 0", "log2(1024)", "10"], F64(libm::log2)),
    row(["max(x, ...)", "maximum", "max(1, 3, 2)", "3"], Fold(None, max)),
    row(["min(x, ...)", "minimum", "min(1, 3, 2)", "1"], Fold(None, min)),
    row(["mod(x, y)", "remainder with the sign of y", "mod(-10, 3)", "2"], Binary(modulo)),
    row(
        ["nextafter(x, y)", "next double from x towards y", "nextafter(0, 1)", "5e-324"],
        F64Pair(libm::nextafter),
    ),
    row(["perm(n, k)", "ways to arrange k of n, both integers", "perm(5, 2)", "20"], Binary(perm)),
    row(["pow(x, y)", "x^y", "pow(2, 70)", "1180591620717411303424"], Binary(Value::power)),
    row(["rad(x)", "as radians(x)", "rad(180)", "3.141592653589793"], F64(radians)),
    row(["radians(x)", "degrees to radians", "radians(180)", "3.141592653589793"], F64(radians)),
    row(
        ["remainder(x, y)", "x - n*y, n nearest to x/y", "remainder(5, 3)", "-1"],
        Binary(remainder),
    ),
    row(
        ["root(x, n)", "n-th root, n an integer, odd if x is below 0", "root(81, 4)", "3"],
        Binary(root),
    ),
    row(
        ["round(x)", "nearest integer, ties away from 0", "round(-2.5)", "-3"],
        Rounding(libm::round),
    ),
    row(["sign(x)", "-1, 0 or 1", "sign(-0.1)", "-1"], Unary(sign)),
    row(["signum(x)", "as sign(x)", "signum(7)", "1"], Unary(sign)),
    row(["sin(x)", "sine of x in radians", "sin(pi/2)", "1"], F64(libm::sin)),
    row(["sinh(x)", "hyperbolic sine", "sinh(0)", "0"], F64(libm::sinh)),
    row(["sqrt(x)", "square root, for x from 0 up", "sqrt(2)", "1.4142135623730951"], Unary(sqrt)),
    row(["sum(x, ...)", "sum", "sum(1, 2, 3)", "6"], Fold(Some(0), |a, b, _| a.plus(b))),
    row(["tan(x)", "tangent of x in radians", "tan(0)", "0"], F64(libm::tan)),
    row(["tanh(x)", "hyperbolic tangent", "tanh(0)", "0"], F64(libm::tanh)),
    row(["trunc(x)", "integer part", "trunc(-1.8)", "-1"], Rounding(libm::trunc)),
    row(["ulp(x)", "gap to the next double", "ulp(1)", "2.220446049250313e-16"], F64(ulp)),
];

const fn row(entry: [&'static str; 4], body: Body) -> Function {
    let [form, about, example, result] = entry;
    let entry = Entry { form, about, example, result };
    let arity = match body {
        F64(_) | Rounding(_) | Unary(_) => 1..=1,
        F64Pair(_) | Binary(_) => 2..=2,
        Ternary(_) => 3..=3,
        Fold(..) | Mean => 1..=usize::MAX,
    };
    Function { entry, name: entry.name(), arity, body }
}

/// The size of the hash table `INDEX`: a power of two, at least twice the number of functions.
const SLOTS: usize = 256;
const EMPTY: u8 = u8::MAX;

/// The positions of the names in `FUNCTIONS`: a hash table with linear probing.
#[expect(clippy::indexing_slicing, reason = "runs in the compiler")]
static INDEX: [u8; SLOTS] = {
    let mut index = [EMPTY; SLOTS];
    let mut i = 0;
    while i < FUNCTIONS.len() {
        let mut slot = slot_of(FUNCTIONS[i].name.as_bytes());
        while index[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = i as u8;
        i += 1;
    }
    index
};

const fn slot_of(name: &[u8]) -> usize {
    let mut hash = 0_usize;
    let mut rest = name;
    while let [first, others @ ..] = rest {
        hash = hash.wrapping_mul(37) ^ *first as usize;
        rest = others;
    }
    hash % SLOTS
}

/// Finds a function.
pub(super) fn find(name: &[u8]) -> Option<&'static Function> {
    let mut slot = slot_of(name);
    loop {
        let function = FUNCTIONS.get(usize::from(*INDEX.get(slot)?))?;
        if function.name.as_bytes() == name {
            return Some(function);
        }
        slot = (slot + 1) % SLOTS;
    }
}

pub(super) const CONSTANTS: [(&str, f64); 3] = [("pi", PI), ("e", E), ("tau", TAU)];

/// Finds a constant.
pub(super) fn constant(name: &[u8]) -> Option<Value> {
    CONSTANTS.iter().find(|(known, _)| known.as_bytes() == name).map(|&(_, x)| Real(x))
}

/// The arguments of a call, from left to right. A fold needs no memory for them.
pub(super) struct Arguments {
    function: &'static Function,
    values: [Value; 3],
    given: usize,
}

impl Arguments {
    pub(super) fn new(function: &'static Function) -> Arguments {
        Arguments { function, values: [Integer(0); 3], given: 0 }
    }

    pub(super) fn push(&mut self, argument: Value, budget: &mut Budget) -> Result<(), ErrorKind> {
        let [first, second, third] = &mut self.values;
        match (&self.function.body, self.given) {
            (Fold(Some(start), fold), 0) => *first = fold(Integer(*start), argument, budget)?,
            (Fold(_, fold), 1..) => *first = fold(*first, argument, budget)?,
            (Mean, 1..) => *first = first.plus(argument)?,
            (_, 0) => *first = argument,
            (_, 1) => *second = argument,
            (_, 2) => *third = argument,
            // Too many arguments: only their number matters.
            _ => (),
        }
        self.given += 1;
        Ok(())
    }

    #[inline(always)]
    pub(super) fn apply(&self, budget: &mut Budget) -> Outcome {
        let Arguments { function, values: [x, y, z], given } = self;
        let given = *given;
        if !function.arity.contains(&given) {
            return Err(match (function.name, given) {
                ("log", 1) => ErrorKind::LogWithoutBase,
                _ => ErrorKind::ArgumentCount(given as u16),
            });
        }
        match function.body {
            F64(function) => {
                let x = x.to_f64();
                // The reduction of a large angle takes hundreds of digits of pi.
                budget.charge(if x.abs() > 1e6 { CALL } else { 0 })?;
                real(function, x)
            }
            F64Pair(function) => Value::real(function(x.to_f64(), y.to_f64())),
            Rounding(function) => rounded(function, *x),
            Unary(function) => function(*x),
            Binary(function) => function(*x, *y, budget),
            Ternary(function) => function(*x, *y, *z),
            Fold(..) => Ok(*x),
            Mean => x.over(Integer(given as i128), budget),
        }
    }
}
