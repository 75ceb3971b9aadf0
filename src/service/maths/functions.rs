//! The functions and constants, by name.
//!
//! Promises: one table says all of a function: how it is written, what it means, an example, what
//! does it. A name is found in one step.
//! Leaves out: what they do (bodies.rs) and reading calls (grammar.rs).

use core::f64::consts::{E, PI, TAU};

use super::bodies::*;
use super::exact::{CALL, Work};
use super::fault::Reason;
use super::reference::Entry;
use super::value::{Outcome, Value};
use Body::{Fold, Mean, One, Pair, Track, Triple, Two, Whole};
use Value::{Integer, Real};

/// A function: what people read about it, how many arguments it takes, what it does.
pub(super) struct Function {
    pub(super) entry: Entry,
    name: &'static str,
    least: usize,
    most: usize,
    body: Body,
}

enum Body {
    /// Of a double.
    One(fn(f64) -> f64),
    /// Of two doubles.
    Two(fn(f64, f64) -> f64),
    /// From a double to a whole number; a whole number stays what it is.
    Whole(fn(f64) -> f64),
    /// Of a number on either track; of two; of three.
    Track(fn(Value) -> Outcome),
    Pair(fn(Value, Value, &mut Work) -> Outcome),
    Triple(fn(Value, Value, Value) -> Outcome),
    /// Of one or more numbers, two at a time, beginning with this one if there is one.
    Fold(Option<i128>, fn(Value, Value, &mut Work) -> Outcome),
    /// Their sum, divided by how many they are.
    Mean,
}

/// All of them. `about` is also the message for an argument outside of the domain.
pub(super) static FUNCTIONS: [Function; 62] = [
    row(["abs(x)", "magnitude of x", "abs(-3)", "3"], Track(abs)),
    row(["acos(x)", "inverse of cos, x from -1 to 1", "acos(1)", "0"], One(libm::acos)),
    row(["acosh(x)", "inverse of cosh, x from 1 up", "acosh(1)", "0"], One(acosh)),
    row(["asin(x)", "inverse of sin, x from -1 to 1", "asin(0)", "0"], One(libm::asin)),
    row(["asinh(x)", "inverse of sinh", "asinh(0)", "0"], One(libm::asinh)),
    row(["atan(x)", "inverse of tan", "4*atan(1)", "3.141592653589793"], One(libm::atan)),
    row(["atan2(y, x)", "angle of the point (x, y)", "atan2(0, 1)", "0"], Two(libm::atan2)),
    row(["atanh(x)", "inverse of tanh, x between -1 and 1", "atanh(0)", "0"], One(libm::atanh)),
    row(["avg(x, ...)", "arithmetic mean", "avg(1, 2, 6)", "3"], Mean),
    row(["cbrt(x)", "cube root", "cbrt(-27)", "-3"], One(libm::cbrt)),
    row(["ceil(x)", "least whole number from x up", "ceil(1.2)", "2"], Whole(libm::ceil)),
    row(["comb(n, k)", "ways to choose k of n, both whole", "comb(5, 2)", "10"], Pair(comb)),
    row(["copysign(x, y)", "x with the sign of y", "copysign(3, -1)", "-3"], Pair(copysign)),
    row(["cos(x)", "cosine of x in radians", "cos(0)", "1"], One(libm::cos)),
    row(["cosh(x)", "hyperbolic cosine", "cosh(0)", "1"], One(libm::cosh)),
    row(["deg(x)", "as degrees(x)", "deg(pi)", "180"], One(degrees)),
    row(["degrees(x)", "radians to degrees", "degrees(pi)", "180"], One(degrees)),
    row(["erf(x)", "error function", "erf(0)", "0"], One(libm::erf)),
    row(["erfc(x)", "1 - erf(x)", "erfc(0)", "1"], One(libm::erfc)),
    row(["exp(x)", "e^x", "exp(2)", "7.38905609893065"], One(libm::exp)),
    row(["exp2(x)", "2^x", "exp2(0.5)", "1.4142135623730951"], One(libm::exp2)),
    row(["expm1(x)", "e^x - 1, precise near 0", "expm1(1e-20)", "1e-20"], One(libm::expm1)),
    row(["fabs(x)", "as abs(x)", "fabs(-0.5)", "0.5"], Track(abs)),
    row(["fact(n)", "as factorial(n)", "fact(5)", "120"], Track(Value::factorial)),
    row(["factorial(n)", "n!", "factorial(20)", "2432902008176640000"], Track(Value::factorial)),
    row(["floor(x)", "greatest whole number up to x", "floor(-1.2)", "-2"], Whole(libm::floor)),
    row(["fma(x, y, z)", "x*y+z, rounded once", "fma(2, 3, 4)", "10"], Triple(fma)),
    row(["fmod(x, y)", "x%y, with the sign of x", "fmod(-10, 3)", "-1"], Pair(rest)),
    row(["frac(x)", "x - trunc(x)", "frac(-2.75)", "-0.75"], Track(fraction)),
    row(["gamma(x)", "gamma function, not for 0, -1, -2, ...", "gamma(5)", "24"], Track(gamma)),
    row(
        ["gcd(n, ...)", "greatest common divisor, n whole", "gcd(12, 18)", "6"],
        Fold(Some(0), gcd),
    ),
    row(["hypot(x, ...)", "root of the sum of squares", "hypot(3, 4)", "5"], Fold(Some(0), hypot)),
    row(["isqrt(n)", "whole part of sqrt(n), n whole, from 0 up", "isqrt(17)", "4"], Track(isqrt)),
    row(["lcm(n, ...)", "least common multiple, n whole", "lcm(4, 6)", "12"], Fold(Some(1), lcm)),
    row(["ldexp(x, n)", "x * 2^n, for whole n", "ldexp(0.75, 3)", "6"], Pair(ldexp)),
    row(["lgamma(x)", "ln(|gamma(x)|), not for 0, -1, -2, ...", "lgamma(2)", "0"], Track(lgamma)),
    row(["ln(x)", "natural logarithm, for x above 0", "ln(e)", "1"], One(libm::log)),
    row(["log(x, base)", "logarithm, x and base above 0, base not 1", "log(8, 2)", "3"], Pair(log)),
    row(["log10(x)", "logarithm to base 10, for x above 0", "log10(1000)", "3"], One(libm::log10)),
    row(["log1p(x)", "ln(1+x), x above -1", "log1p(1e-20)", "1e-20"], One(libm::log1p)),
    row(["log2(x)", "logarithm to base 2, for x above 0", "log2(1024)", "10"], One(libm::log2)),
    row(["max(x, ...)", "the greatest", "max(1, 3, 2)", "3"], Fold(None, max)),
    row(["min(x, ...)", "the least", "min(1, 3, 2)", "1"], Fold(None, min)),
    row(["mod(x, y)", "remainder with the sign of y", "mod(-10, 3)", "2"], Pair(modulo)),
    row(
        ["nextafter(x, y)", "next double towards y", "nextafter(0, 1)", "5e-324"],
        Two(libm::nextafter),
    ),
    row(["perm(n, k)", "ways to arrange k of n, both whole", "perm(5, 2)", "20"], Pair(perm)),
    row(["pow(x, y)", "x^y", "pow(2, 70)", "1180591620717411303424"], Pair(power)),
    row(["rad(x)", "as radians(x)", "rad(180)", "3.141592653589793"], One(radians)),
    row(["radians(x)", "degrees to radians", "radians(180)", "3.141592653589793"], One(radians)),
    row(["remainder(x, y)", "x - n*y, n nearest to x/y", "remainder(5, 3)", "-1"], Pair(remainder)),
    row(["root(x, n)", "n-th root, n whole, odd if x is below 0", "root(81, 4)", "3"], Pair(root)),
    row(
        ["round(x)", "nearest whole number, halves outwards", "round(-2.5)", "-3"],
        Whole(libm::round),
    ),
    row(["sign(x)", "-1, 0 or 1", "sign(-0.1)", "-1"], Track(sign)),
    row(["signum(x)", "as sign(x)", "signum(7)", "1"], Track(sign)),
    row(["sin(x)", "sine of x in radians", "sin(pi/2)", "1"], One(libm::sin)),
    row(["sinh(x)", "hyperbolic sine", "sinh(0)", "0"], One(libm::sinh)),
    row(["sqrt(x)", "square root, for x from 0 up", "sqrt(2)", "1.4142135623730951"], Track(sqrt)),
    row(["sum(x, ...)", "sum", "sum(1, 2, 3)", "6"], Fold(Some(0), sum)),
    row(["tan(x)", "tangent of x in radians", "tan(0)", "0"], One(libm::tan)),
    row(["tanh(x)", "hyperbolic tangent", "tanh(0)", "0"], One(libm::tanh)),
    row(["trunc(x)", "whole part", "trunc(-1.8)", "-1"], Whole(libm::trunc)),
    row(["ulp(x)", "gap to the next double", "ulp(1)", "2.220446049250313e-16"], One(ulp)),
];

const fn row(entry: [&'static str; 4], body: Body) -> Function {
    let [form, about, example, result] = entry;
    let entry = Entry { form, about, example, result };
    let (least, most) = match body {
        One(_) | Whole(_) | Track(_) => (1, 1),
        Two(_) | Pair(_) => (2, 2),
        Triple(_) => (3, 3),
        Fold(..) | Mean => (1, usize::MAX),
    };
    Function { entry, name: entry.name(), least, most, body }
}

impl Function {
    /// How many arguments it takes: at least, at most.
    pub(super) fn arity(&self) -> (usize, usize) {
        (self.least, self.most)
    }
}

/// Slots of `INDEX`: a power of two, with most of them empty.
const SLOTS: usize = 256;
const EMPTY: u8 = u8::MAX;

/// Where in `FUNCTIONS` a name is: in the slot of its hash or, if that is taken, further on.
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

/// The function of that name.
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

/// The constant of that name.
pub(super) fn constant(name: &[u8]) -> Option<Value> {
    match name {
        b"pi" => Some(Real(PI)),
        b"e" => Some(Real(E)),
        b"tau" => Some(Real(TAU)),
        _ => None,
    }
}

/// The arguments of a call, as they come. What can be folded is folded at once, so that their
/// number needs no room.
pub(super) struct Arguments {
    function: &'static Function,
    values: [Value; 3],
    given: usize,
}

impl Arguments {
    pub(super) fn new(function: &'static Function) -> Arguments {
        Arguments { function, values: [Integer(0); 3], given: 0 }
    }

    pub(super) fn take(&mut self, argument: Value, work: &mut Work) -> Result<(), Reason> {
        let [first, second, third] = &mut self.values;
        match (&self.function.body, self.given) {
            (Fold(Some(start), fold), 0) => *first = fold(Integer(*start), argument, work)?,
            (Fold(_, fold), 1..) => *first = fold(*first, argument, work)?,
            (Mean, 1..) => *first = first.plus(argument)?,
            (_, 0) => *first = argument,
            (_, 1) => *second = argument,
            (_, 2) => *third = argument,
            // Too many: only their number matters now.
            _ => (),
        }
        self.given += 1;
        Ok(())
    }

    /// An argument that is outside of a domain is outside of this function's.
    pub(super) fn named(&self, reason: Reason) -> Reason {
        match reason {
            Reason::Outside => Reason::Domain(&self.function.entry),
            other => other,
        }
    }

    #[inline(always)]
    pub(super) fn apply(&self, work: &mut Work) -> Outcome {
        let Arguments { function, values: [x, y, z], given } = self;
        let given = *given;
        if given < function.least || given > function.most {
            return Err(match (function.name, given) {
                ("log", 1) => Reason::Say("log: write ln(x), log10(x), log2(x) or log(x, base)"),
                _ => Reason::Arity(&function.entry, given as u16),
            });
        }
        match function.body {
            One(of) => {
                let x = x.to_f64();
                // An angle this large is reduced with hundreds of digits of pi.
                work.charge(if x.abs() > 1e6 { CALL } else { 0 })?;
                real_of(of, x)
            }
            Two(of) => Value::real(of(x.to_f64(), y.to_f64())),
            Whole(of) => whole_of(of, *x),
            Track(of) => of(*x),
            Pair(of) => of(*x, *y, work),
            Triple(of) => of(*x, *y, *z),
            Fold(..) => Ok(*x),
            Mean => x.over(Integer(given as i128), work),
        }
    }
}
