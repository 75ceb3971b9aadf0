//! Random expressions, whose value is known before they are written down: the evaluator and
//! `meval` have to find it again; and whole numbers against schoolbook arithmetic.
//!
//! Promises: nothing but `ZCMD_SEED` and `ZCMD_COUNT` decides what is tried, and a failure prints
//! the seed and the text. Parentheses are written only where the grammar needs them, or at
//! random, so that a wrong precedence shows.
//! Leaves out: what `meval` cannot answer: whole numbers from 2^53 up, blanks alone, infinities.

#![cfg(test)]

use zcmd::service::maths::{Value, evaluate};

/// Enough for a second in a debug build; ten millions take minutes in a release build.
const COUNT: u64 = 20_000;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}?")))
}

/// SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// How tightly the outermost operator of a text binds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Sum,
    Product,
    Signed,
    Power,
    Primary,
}

/// A text, its level and its value.
struct Node<V> {
    text: String,
    level: Level,
    value: V,
}

impl<V> Node<V> {
    /// The text where at least this level is needed.
    fn at(&self, level: Level, chance: &mut Chance) -> String {
        if self.level < level || chance.below(8) == 0 {
            format!("({})", self.text)
        } else {
            self.text.clone()
        }
    }
}

fn joined<V>(
    chance: &mut Chance,
    (a, left): (&Node<V>, Level),
    operator: char,
    (b, right): (&Node<V>, Level),
    level: Level,
    value: V,
) -> Node<V> {
    let blank = chance.one_of(&["", "", " "]);
    let (a, b) = (a.at(left, chance), b.at(right, chance));
    Node { text: format!("{a}{blank}{operator}{blank}{b}"), level, value }
}

fn double_leaf(chance: &mut Chance) -> Node<f64> {
    let (small, large) = (chance.below(100), chance.below(100_000));
    let text = match chance.below(8) {
        0..=2 => format!("{}", small),
        3 => format!("{}", large),
        4 => format!("{small}.{large}"),
        5 => format!("0.{large:05}"),
        6 => format!("{}.5e{}", small, chance.below(4)),
        _ => format!("{large}e-{}", chance.below(9)),
    };
    Node { value: text.parse().unwrap(), text, level: Level::Primary }
}

/// A random expression of correctly rounded steps, none of them at 2^53 or beyond.
fn double_node(chance: &mut Chance, depth: u32) -> Node<f64> {
    if depth == 0 || chance.below(6) == 0 {
        return double_leaf(chance);
    }
    let a = double_node(chance, depth - 1);
    let node = match chance.below(13) {
        operator @ 0..=7 => {
            let b = double_node(chance, depth - 1);
            double_operation(chance, operator, &a, &b)
        }
        8 => Node {
            text: format!("-{}", a.at(Level::Power, chance)),
            level: Level::Signed,
            value: -a.value,
        },
        9 if a.value.fract() == 0.0 => {
            let exponent = chance.below(5) as i32;
            let base = a.at(Level::Primary, chance);
            Node {
                text: format!("{base}^{exponent}"),
                level: Level::Power,
                value: a.value.powi(exponent),
            }
        }
        _ => {
            let (name, of): (&str, fn(f64) -> f64) = chance.one_of(&[
                ("abs", f64::abs as fn(f64) -> f64),
                ("floor", f64::floor),
                ("ceil", f64::ceil),
                ("round", f64::round),
                ("sqrt", f64::sqrt),
            ]);
            Node { text: format!("{name}({})", a.text), level: Level::Primary, value: of(a.value) }
        }
    };
    if node.value.abs() < 9e15 && (node.value == 0.0 || node.value.abs() > 1e-300) {
        node
    } else {
        double_leaf(chance)
    }
}

fn double_operation(chance: &mut Chance, which: u64, a: &Node<f64>, b: &Node<f64>) -> Node<f64> {
    use Level::{Product, Signed, Sum};
    match which {
        0 | 1 => joined(chance, (a, Sum), '+', (b, Product), Sum, a.value + b.value),
        2 => joined(chance, (a, Sum), '-', (b, Product), Sum, a.value - b.value),
        3 | 4 => joined(chance, (a, Product), '*', (b, Signed), Product, a.value * b.value),
        5 => joined(chance, (a, Product), '/', (b, Signed), Product, a.value / b.value),
        6 => joined(chance, (a, Product), '%', (b, Signed), Product, a.value % b.value),
        _ => {
            let text = format!("max({}, {})", a.text, b.text);
            Node { text, level: Level::Primary, value: a.value.max(b.value) }
        }
    }
}

fn to_f64(value: Value) -> f64 {
    match value {
        Value::Integer(number) => number as f64,
        Value::Real(x) => x,
    }
}

#[test]
fn doubles_agree_with_meval_and_with_the_processor() {
    let (seed, count) = (setting("ZCMD_SEED", 1), setting("ZCMD_COUNT", COUNT));
    let (mut chance, context) = (Chance(seed), meval::Context::new());
    let (mut both, mut refused) = (0_u64, 0_u64);
    for _ in 0..count {
        let node = double_node(&mut chance, 5);
        let said = format!("seed {seed}: {} = {:?}", node.text, node.value);
        match evaluate(&node.text, &[]) {
            Ok(value) => assert!(to_f64(value) == node.value, "{said}, not {value}"),
            Err(error) => panic!("{said}: {error}"),
        }
        match meval::eval_str_with_context(&node.text, &context) {
            Ok(value) => {
                assert!(value == node.value, "{said}, and meval says {value}");
                both += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("seed {seed}: {both} agree with meval, which refused {refused}");
    assert!(both > count / 2, "{both} of {count}");
}

/// `libm` and the C library may differ in the last bits, but in no more.
const LAST_BITS: f64 = 8.0 * f64::EPSILON;

/// Rust's own formulas for these lose digits where they subtract; `libm` does not.
const LOOSE: f64 = 1e-9;

#[test]
fn transcendental_functions_agree_with_meval() {
    let (seed, count) = (setting("ZCMD_SEED", 1), setting("ZCMD_COUNT", COUNT));
    let (mut chance, context) = (Chance(!seed), meval::Context::new());
    let precise =
        ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "ln"];
    let loose = ["asinh", "acosh", "atanh"];
    let names = precise.map(|name| (name, LAST_BITS)).into_iter();
    let names: Vec<(&str, f64)> = names.chain(loose.map(|name| (name, LOOSE))).collect();
    let mut both = 0_u64;
    for _ in 0..count / 2 {
        let (name, tolerance) = chance.one_of(&names);
        let text = format!("{name}({})", double_node(&mut chance, 2).text);
        let (ours, theirs) = (evaluate(&text, &[]), meval::eval_str_with_context(&text, &context));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let difference = (to_f64(ours) - theirs).abs();
                assert!(
                    difference <= tolerance * theirs.abs(),
                    "seed {seed}: {text}: {ours}, {theirs}"
                );
                both += 1;
            }
            // No number is what we refuse.
            (Err(error), Ok(theirs)) => {
                assert!(!theirs.is_finite(), "seed {seed}: {text}: {error}, meval: {theirs}");
            }
            (_, Err(_)) => (),
        }
    }
    println!("seed {seed}: {both} agree with meval");
    assert!(both > count / 8, "{both} of {count}");
}

/// A whole number of any size, as one learns it at school: digits of nine figures, lowest first.
#[derive(Clone, Debug, PartialEq)]
struct School {
    negative: bool,
    digits: Vec<u64>,
}

const BASE: u64 = 1_000_000_000;

impl School {
    fn new(number: u64) -> School {
        School { negative: false, digits: vec![number % BASE, number / BASE % BASE] }.trimmed()
    }

    fn trimmed(mut self) -> School {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        self.negative &= !self.digits.is_empty();
        self
    }

    fn negated(&self) -> School {
        School { negative: !self.negative, ..self.clone() }.trimmed()
    }

    fn plus(&self, other: &School) -> School {
        if self.negative != other.negative {
            let (larger, smaller) =
                if self.is_below(other) { (other, self) } else { (self, other) };
            let digit = |i: usize| smaller.digits.get(i).copied().unwrap_or(0);
            let mut borrow = 0;
            let digits = larger.digits.iter().enumerate().map(|(i, a)| {
                let left = BASE + a - digit(i) - borrow;
                borrow = u64::from(left < BASE);
                left % BASE
            });
            return School { digits: digits.collect(), negative: larger.negative }.trimmed();
        }
        let mut carry = 0;
        let length = self.digits.len().max(other.digits.len()) + 1;
        let digit = |of: &School, i: usize| of.digits.get(i).copied().unwrap_or(0);
        let digits = (0..length).map(|i| {
            let sum = digit(self, i) + digit(other, i) + carry;
            carry = sum / BASE;
            sum % BASE
        });
        School { digits: digits.collect(), negative: self.negative }.trimmed()
    }

    fn times(&self, other: &School) -> School {
        let mut digits = vec![0; self.digits.len() + other.digits.len() + 1];
        for (i, a) in self.digits.iter().enumerate() {
            let mut carry = 0;
            for (j, b) in other.digits.iter().chain(&[0]).enumerate() {
                let sum = digits[i + j] + a * b + carry;
                digits[i + j] = sum % BASE;
                carry = sum / BASE;
            }
        }
        School { digits, negative: self.negative != other.negative }.trimmed()
    }

    /// Is its magnitude smaller?
    fn is_below(&self, other: &School) -> bool {
        let (a, b) = (&self.digits, &other.digits);
        a.len() < b.len() || (a.len() == b.len() && a.iter().rev().lt(b.iter().rev()))
    }

    fn text(&self) -> String {
        let Some((last, rest)) = self.digits.split_last() else { return "0".to_owned() };
        let sign = if self.negative { "-" } else { "" };
        let rest: String = rest.iter().rev().map(|digit| format!("{digit:09}")).collect();
        format!("{sign}{last}{rest}")
    }
}

/// 2^127: where the whole numbers end.
fn end() -> School {
    let word = School::new(1 << 32);
    word.times(&word).times(&word).times(&School::new(1 << 31))
}

fn whole_leaf(chance: &mut Chance) -> Node<School> {
    let bits = chance.below(45);
    let number = chance.below(1 << bits);
    Node { text: number.to_string(), level: Level::Primary, value: School::new(number) }
}

/// A random expression of whole numbers, none of them at 2^127 or beyond.
fn whole_node(chance: &mut Chance, depth: u32) -> Node<School> {
    use Level::{Power, Primary, Product, Signed, Sum};
    if depth == 0 || chance.below(6) == 0 {
        return whole_leaf(chance);
    }
    let a = whole_node(chance, depth - 1);
    let b = whole_node(chance, depth - 1);
    let node = match chance.below(6) {
        0 | 1 => joined(chance, (&a, Product), '*', (&b, Signed), Product, a.value.times(&b.value)),
        2 => joined(chance, (&a, Sum), '+', (&b, Product), Sum, a.value.plus(&b.value)),
        3 => {
            let value = a.value.plus(&b.value.negated());
            joined(chance, (&a, Sum), '-', (&b, Product), Sum, value)
        }
        4 => Node {
            text: format!("-{}", a.at(Power, chance)),
            level: Signed,
            value: a.value.negated(),
        },
        _ => {
            let exponent = chance.below(9);
            let value = (0..exponent).fold(School::new(1), |power, _| power.times(&a.value));
            Node { text: format!("{}**{exponent}", a.at(Primary, chance)), level: Power, value }
        }
    };
    if node.value.is_below(&end()) { node } else { whole_leaf(chance) }
}

#[test]
fn whole_numbers_have_all_their_digits() {
    let (seed, count) = (setting("ZCMD_SEED", 1), setting("ZCMD_COUNT", COUNT));
    let mut chance = Chance(seed);
    let mut beyond_doubles = 0_u64;
    for _ in 0..count / 4 {
        let node = whole_node(&mut chance, 5);
        let value =
            evaluate(&node.text, &[]).unwrap_or_else(|error| panic!("{}: {error}", node.text));
        assert!(matches!(value, Value::Integer(_)), "seed {seed}: {} = {value:?}", node.text);
        assert_eq!(value.to_string(), node.value.text(), "seed {seed}: {}", node.text);
        beyond_doubles += u64::from(node.value.digits.len() > 2);
    }
    println!("seed {seed}: {} agree, {beyond_doubles} of them of 19 digits or more", count / 4);
    assert!(beyond_doubles > count / 64);
}

/// Checks that `x`, below the normal doubles, is the double nearest to 1 / `divisor`: with
/// `x` = m · 2^-1074 that is (2m - 1) · divisor <= 2^1075 <= (2m + 1) · divisor, where only an
/// even m may be equally near to both neighbours.
fn assert_nearest_subnormal(text: &str, x: f64, divisor: &School) {
    let m = x.to_bits();
    assert!(m <= 1 << 52, "{text} = {x} is no subnormal");
    let is_even = m & 1 == 0;
    let bound = power(&School::new(2), 1075);
    let above = School::new(2 * m + 1).times(divisor);
    let is_above = bound.is_below(&above) || (is_even && bound == above);
    let below = School::new((2 * m).saturating_sub(1)).times(divisor);
    let is_below = below.is_below(&bound) || (is_even && bound == below);
    assert!(is_above && is_below, "{text} = {x:e} is not the nearest double");
}

fn power(base: &School, exponent: u64) -> School {
    (0..exponent).fold(School::new(1), |power, _| power.times(base))
}

#[test]
fn old_wound_negative_powers_in_the_subnormals_are_rounded_once() {
    let mut subnormals = 0;
    for base in (2..=100).chain([999_983, 1 << 40, (1 << 53) + 1]) {
        // From the last powers above 2^-1022 to the first that are nearest to 0.
        let first = (1022.0 / (base as f64).log2()).ceil() as u64;
        let last = (1077.0 / (base as f64).log2()).ceil() as u64;
        let mut divisor = power(&School::new(base), first);
        for exponent in first..=last {
            let text = format!("{base}^-{exponent}");
            let value = to_f64(evaluate(&text, &[]).unwrap());
            assert_nearest_subnormal(&text, value, &divisor);
            let negative = to_f64(evaluate(&format!("(-{base})^-{exponent}"), &[]).unwrap());
            assert_eq!(negative, if exponent % 2 == 0 { value } else { -value }, "-{text}");
            divisor = divisor.times(&School::new(base));
            subnormals += 1;
        }
    }
    assert!(subnormals > 1000, "only {subnormals}");
    for (text, bits) in [("2^-1074", 1), ("2^-1075", 0), ("4^-537", 1), ("2^-1022", 1 << 52)] {
        assert_eq!(to_f64(evaluate(text, &[]).unwrap()).to_bits(), bits, "{text}");
    }
}
