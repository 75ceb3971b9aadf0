//! The functions and constants, by name.
//!
//! Promises: whole arguments give whole results, exactly, wherever the function allows; the
//! others come from `libm`, so that an expression gives the same bytes on every host.
//! Leaves out: the operators (value.rs) and reading calls (grammar.rs).

use core::cmp::Ordering;
use core::f64::consts::{E, PI, TAU};

use super::exact::{self, CALL, Work};
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
    row(["abs(x)", "magnitude of x", "abs(-3)", "3"], Track(|x| Ok(x.magnitude()))),
    row(
        ["acos(x)", "angle whose cosine is x, for x from -1 to 1", "acos(1)", "0"],
        One(libm::acos),
    ),
    row(["acosh(x)", "inverse of cosh, for x from 1 up", "acosh(1)", "0"], One(acosh)),
    row(["asin(x)", "angle whose sine is x, for x from -1 to 1", "asin(0)", "0"], One(libm::asin)),
    row(["asinh(x)", "inverse of sinh", "asinh(0)", "0"], One(libm::asinh)),
    row(["atan(x)", "angle whose tangent is x", "4*atan(1)", "3.141592653589793"], One(libm::atan)),
    row(["atan2(y, x)", "angle of the point (x, y)", "atan2(0, 1)", "0"], Two(libm::atan2)),
    row(["atanh(x)", "inverse of tanh, for x between -1 and 1", "atanh(0)", "0"], One(libm::atanh)),
    row(["avg(x, ...)", "arithmetic mean", "avg(1, 2, 6)", "3"], Mean),
    row(["cbrt(x)", "cube root", "cbrt(-27)", "-3"], One(libm::cbrt)),
    row(["ceil(x)", "least whole number from x up", "ceil(1.2)", "2"], Whole(libm::ceil)),
    row(
        ["comb(n, k)", "ways to choose k of n, for whole numbers from 0 up", "comb(5, 2)", "10"],
        Pair(comb),
    ),
    row(["copysign(x, y)", "x with the sign of y", "copysign(3, -1)", "-3"], Pair(copysign)),
    row(["cos(x)", "cosine of x in radians", "cos(0)", "1"], One(libm::cos)),
    row(["cosh(x)", "hyperbolic cosine", "cosh(0)", "1"], One(libm::cosh)),
    row(["deg(x)", "radians to degrees, as degrees(x)", "deg(pi)", "180"], One(degrees)),
    row(["degrees(x)", "radians to degrees", "degrees(pi)", "180"], One(degrees)),
    row(["erf(x)", "error function", "erf(0)", "0"], One(libm::erf)),
    row(["erfc(x)", "1 - erf(x)", "erfc(0)", "1"], One(libm::erfc)),
    row(["exp(x)", "e^x", "exp(2)", "7.38905609893065"], One(libm::exp)),
    row(["exp2(x)", "2^x", "exp2(0.5)", "1.4142135623730951"], One(libm::exp2)),
    row(["expm1(x)", "e^x - 1, precise near 0", "expm1(1e-20)", "1e-20"], One(libm::expm1)),
    row(["fabs(x)", "magnitude, as abs(x)", "fabs(-0.5)", "0.5"], Track(|x| Ok(x.magnitude()))),
    row(["fact(n)", "n!, as factorial(n)", "fact(5)", "120"], Track(Value::factorial)),
    row(["factorial(n)", "n!", "factorial(20)", "2432902008176640000"], Track(Value::factorial)),
    row(["floor(x)", "greatest whole number up to x", "floor(-1.2)", "-2"], Whole(libm::floor)),
    row(["fma(x, y, z)", "x*y+z, rounded once", "fma(2, 3, 4)", "10"], Triple(fma)),
    row(
        ["fmod(x, y)", "remainder with the sign of x: x%y", "fmod(-10, 3)", "-1"],
        Pair(|x, y, _| x.rest(y)),
    ),
    row(["frac(x)", "x - trunc(x)", "frac(-2.75)", "-0.75"], Track(fraction)),
    row(["gamma(x)", "gamma function, not for 0, -1, -2, ...", "gamma(5)", "24"], Track(gamma)),
    row(
        ["gcd(n, ...)", "greatest common divisor of whole numbers", "gcd(12, 18)", "6"],
        Fold(Some(0), gcd),
    ),
    row(["hypot(x, ...)", "root of the sum of squares", "hypot(3, 4)", "5"], Fold(Some(0), hypot)),
    row(
        ["isqrt(n)", "whole part of the root of a whole number from 0 up", "isqrt(17)", "4"],
        Track(isqrt),
    ),
    row(
        ["lcm(n, ...)", "least common multiple of whole numbers", "lcm(4, 6)", "12"],
        Fold(Some(1), lcm),
    ),
    row(["ldexp(x, n)", "x * 2^n, for whole n", "ldexp(0.75, 3)", "6"], Pair(ldexp)),
    row(["lgamma(x)", "ln(|gamma(x)|), not for 0, -1, -2, ...", "lgamma(2)", "0"], Track(lgamma)),
    row(["ln(x)", "natural logarithm, for x above 0", "ln(e)", "1"], One(libm::log)),
    row(
        ["log(x, base)", "logarithm, for x and base above 0, base not 1", "log(8, 2)", "3"],
        Pair(log),
    ),
    row(["log10(x)", "logarithm to base 10, for x above 0", "log10(1000)", "3"], One(libm::log10)),
    row(
        ["log1p(x)", "ln(1+x), precise near 0, for x above -1", "log1p(1e-20)", "1e-20"],
        One(libm::log1p),
    ),
    row(["log2(x)", "logarithm to base 2, for x above 0", "log2(1024)", "10"], One(libm::log2)),
    row(["max(x, ...)", "the greatest", "max(1, 3, 2)", "3"], Fold(None, max)),
    row(["min(x, ...)", "the least", "min(1, 3, 2)", "1"], Fold(None, min)),
    row(["mod(x, y)", "remainder with the sign of y", "mod(-10, 3)", "2"], Pair(modulo)),
    row(
        [
            "nextafter(x, y)",
            "next double from x towards y",
            "nextafter(1, 2)",
            "1.0000000000000002",
        ],
        Two(libm::nextafter),
    ),
    row(
        ["perm(n, k)", "ways to arrange k of n, for whole numbers from 0 up", "perm(5, 2)", "20"],
        Pair(perm),
    )
    .or_one(),
    row(
        ["pow(x, y)", "x^y", "pow(2, 100)", "1267650600228229401496703205376"],
        Pair(|x, y, _| x.power(y)),
    ),
    row(
        ["rad(x)", "degrees to radians, as radians(x)", "rad(180)", "3.141592653589793"],
        One(radians),
    ),
    row(["radians(x)", "degrees to radians", "radians(180)", "3.141592653589793"], One(radians)),
    row(
        ["remainder(x, y)", "x - n*y for the whole n nearest to x/y", "remainder(5, 3)", "-1"],
        Pair(remainder),
    ),
    row(
        ["root(x, n)", "n-th root, for whole n; x below 0 needs an odd n", "root(81, 4)", "3"],
        Pair(root),
    ),
    row(
        ["round(x)", "nearest whole number, halves away from 0", "round(-2.5)", "-3"],
        Whole(libm::round),
    ),
    row(["sign(x)", "-1, 0 or 1", "sign(-0.1)", "-1"], Track(sign)),
    row(["signum(x)", "-1, 0 or 1, as sign(x)", "signum(7)", "1"], Track(sign)),
    row(["sin(x)", "sine of x in radians", "sin(pi/2)", "1"], One(libm::sin)),
    row(["sinh(x)", "hyperbolic sine", "sinh(0)", "0"], One(libm::sinh)),
    row(["sqrt(x)", "square root, for x from 0 up", "sqrt(2)", "1.4142135623730951"], Track(sqrt)),
    row(["sum(x, ...)", "sum", "sum(1, 2, 3)", "6"], Fold(Some(0), |a, b, _| a.plus(b))),
    row(["tan(x)", "tangent of x in radians", "tan(0)", "0"], One(libm::tan)),
    row(["tanh(x)", "hyperbolic tangent", "tanh(0)", "0"], One(libm::tanh)),
    row(["trunc(x)", "whole part", "trunc(-1.8)", "-1"], Whole(libm::trunc)),
    row(
        ["ulp(x)", "gap between x and the next double outwards", "ulp(1)", "2.220446049250313e-16"],
        One(ulp),
    ),
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
    /// Takes one argument for two as well.
    const fn or_one(self) -> Function {
        Function { least: 1, ..self }
    }

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
                ("log", 1) => Reason::AmbiguousLog,
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
            Pair(of) => of(*x, if given == 1 { *x } else { *y }, work),
            Triple(of) => of(*x, *y, *z),
            Fold(..) => Ok(*x),
            Mean => x.over(Integer(given as i128)),
        }
    }
}

fn real_of(of: fn(f64) -> f64, x: f64) -> Outcome {
    let y = of(x);
    // All functions whose result is infinite so near to 0 have a pole there.
    if y.is_nan() || (y.is_infinite() && x.abs() <= 1.0) {
        return Err(Reason::Outside);
    }
    Value::real(y)
}

fn whole_of(of: fn(f64) -> f64, x: Value) -> Outcome {
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

fn comb(n: Value, k: Value, work: &mut Work) -> Outcome {
    let (n, k) = (natural(n)?, natural(k)?);
    if k > n { Ok(Integer(0)) } else { exact::combinations(n, k, work) }
}

fn perm(n: Value, k: Value, work: &mut Work) -> Outcome {
    let (n, k) = (natural(n)?, natural(k)?);
    if k > n { Ok(Integer(0)) } else { exact::permutations(n, k, work) }
}

fn gcd(a: Value, b: Value, work: &mut Work) -> Outcome {
    let (a, b) = (whole(a)?.unsigned_abs(), whole(b)?.unsigned_abs());
    exact::gcd(a, b, work).map(|divisor| Value::whole(false, divisor))
}

fn lcm(a: Value, b: Value, work: &mut Work) -> Outcome {
    let (a, b) = (whole(a)?.unsigned_abs(), whole(b)?.unsigned_abs());
    match exact::gcd(a, b, work)? {
        0 => Ok(Integer(0)),
        divisor => Value::whole(false, a / divisor).times(Value::whole(false, b)),
    }
}

fn isqrt(n: Value) -> Outcome {
    natural(n).map(|n| Value::whole(false, n.isqrt()))
}

fn sqrt(x: Value) -> Outcome {
    match x {
        Integer(n) => u128::try_from(n).map(exact::square_root).map_err(|_| Reason::Outside),
        Real(x) => real_of(libm::sqrt, x),
    }
}

fn root(x: Value, n: Value, _: &mut Work) -> Outcome {
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

fn log(x: Value, base: Value, _: &mut Work) -> Outcome {
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

fn min(a: Value, b: Value, _: &mut Work) -> Outcome {
    Ok(if b.compare(a) == Ordering::Less { b } else { a })
}

fn max(a: Value, b: Value, _: &mut Work) -> Outcome {
    Ok(if b.compare(a) == Ordering::Greater { b } else { a })
}

fn hypot(a: Value, b: Value, _: &mut Work) -> Outcome {
    Value::real(libm::hypot(a.to_f64(), b.to_f64()))
}

fn fma(x: Value, y: Value, z: Value) -> Outcome {
    match (x, y, z) {
        (Integer(_), Integer(_), Integer(_)) => x.times(y)?.plus(z),
        _ => Value::real(libm::fma(x.to_f64(), y.to_f64(), z.to_f64())),
    }
}

fn modulo(x: Value, y: Value, _: &mut Work) -> Outcome {
    let rest = x.rest(y)?;
    let is_zero = rest.compare(Integer(0)) == Ordering::Equal;
    if is_zero || rest.is_negative() == y.is_negative() { Ok(rest) } else { rest.plus(y) }
}

/// IEEE 754 `remainder`: of two equally near multiples, the even one counts.
fn remainder(x: Value, y: Value, _: &mut Work) -> Outcome {
    let rest = match (x, y) {
        (_, Integer(0) | Real(0.0)) => return Err(Reason::DivisionByZero),
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
            rest -= if rest + rest > y { y } else { 0.0 };
            rest -= if rest + rest >= y { y } else { 0.0 };
            Value::real(rest)?
        }
    };
    Ok(if x.is_negative() { rest.negated() } else { rest })
}

fn copysign(x: Value, y: Value, _: &mut Work) -> Outcome {
    Ok(if x.is_negative() == y.is_negative() { x } else { x.negated() })
}

fn ldexp(x: Value, n: Value, _: &mut Work) -> Outcome {
    // Beyond 5,000 every result is the same as there.
    Value::real(libm::ldexp(x.to_f64(), whole(n)?.clamp(-5000, 5000) as i32))
}

fn fraction(x: Value) -> Outcome {
    match x {
        Integer(_) => Ok(Integer(0)),
        Real(x) => Value::real(x - libm::trunc(x)),
    }
}

fn sign(x: Value) -> Outcome {
    Ok(Integer(x.compare(Integer(0)) as i128))
}

fn gamma(x: Value) -> Outcome {
    match x.to_whole() {
        Some(n @ 1..) => exact::factorial(n - 1).ok_or(Reason::Overflow),
        Some(_) => Err(Reason::Outside),
        None => real_of(libm::tgamma, x.to_f64()),
    }
}

fn lgamma(x: Value) -> Outcome {
    match x.to_whole() {
        Some(..=0) => Err(Reason::Outside),
        _ => real_of(libm::lgamma, x.to_f64()),
    }
}

fn acosh(x: f64) -> f64 {
    // libm 0.2.16 gives numbers below -1.
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

fn degrees(x: f64) -> f64 {
    x * (180.0 / PI)
}

fn radians(x: f64) -> f64 {
    x * (PI / 180.0)
}

fn ulp(x: f64) -> f64 {
    let x = x.abs();
    let next = x.next_up();
    if next.is_finite() { next - x } else { x - x.next_down() }
}
