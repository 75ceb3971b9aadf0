//! Searches for the text of 4 KiB that takes our evaluator longest.
//!
//! Promises: starts from texts made to hurt (each repeats what is dear for its length), then
//! changes the worst of them at random and keeps what takes longer; every time is the least of
//! several runs, so that the host's pauses do not count.
//! Leaves out: proof. What it prints is the worst that it found.

use std::hint::black_box;
use std::time::{Duration, Instant};

use zcmd::service::maths::{Value, evaluate};

const BYTES: usize = 4096;
const SEARCH: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_micros(100);

/// Values that make operators and functions slow.
const VARIABLES: [(&str, Value); 12] = [
    ("h", Value::Real(1e308)),
    ("t", Value::Real(3e-308)),
    ("u", Value::Real(5e-324)),
    ("p", Value::Real(1.000_000_1)),
    ("q", Value::Real(0.999_999_7)),
    ("m", Value::Integer(i128::MAX)),
    ("n", Value::Integer(i128::MAX / 3 * 2 - 1)),
    // Neighbours in Fibonacci's row: the longest way to a common divisor.
    ("f", Value::Integer(155_576_970_220_531_065_681_649_693)),
    ("g", Value::Integer(96_151_855_463_018_422_468_774_568)),
    ("c", Value::Integer(1029)),
    ("d", Value::Integer(500)),
    ("x", Value::Real(1e22)),
];

fn main() {
    let mut pool: Vec<(Duration, String)> =
        seeds().into_iter().map(|text| (time(&text), text)).collect();
    pool.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    for (time, text) in pool.iter().take(12) {
        println!("{:7.1} µs  {:?}", micros(*time), text.chars().take(48).collect::<String>());
    }
    pool.truncate(12);
    let (mut chance, start, mut tried) = (1_u64, Instant::now(), 0);
    while start.elapsed() < SEARCH {
        let from = random(&mut chance) as usize % pool.len();
        let text =
            changed(&pool[from].1, &pool[random(&mut chance) as usize % pool.len()].1, &mut chance);
        let took = time(&text);
        tried += 1;
        if took > pool[from].0 {
            pool[from] = (took, text);
        }
    }
    let mut worst = (Duration::ZERO, String::new());
    for (_, text) in pool {
        let took = (0..40).map(|_| time(&text)).min().unwrap_or_default();
        worst = worst.max((took, text));
    }
    let shown = worst.1.chars().take(60).collect::<String>();
    println!("worst after {tried} changes: {:.1} µs {shown:?}", micros(worst.0));
    assert!(worst.0 < LIMIT, "over {LIMIT:?}");
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

fn time(text: &str) -> Duration {
    let once = || {
        let start = Instant::now();
        let _ = black_box(evaluate(black_box(text), &VARIABLES));
        start.elapsed()
    };
    (0..7).map(|_| once()).min().unwrap_or_default()
}

/// Each repeats its part to the full length; where that asks for too much work, only as often
/// as it is allowed, followed by what costs no work.
fn seeds() -> Vec<String> {
    let mut parts: Vec<String> = [
        "p^",
        "p^q+",
        "p^p*",
        "m/n+",
        "n%m+",
        "h%t+",
        "h%u+",
        "t/p+",
        "m*n+",
        "f/g+",
        "3!",
        "1!",
        "!",
        "-",
        "+",
        " ",
        "((1)+",
        "1+",
        "9",
        "0",
        ".1+",
        "1e308+",
        "1e-308+",
        "p+",
        "x*",
        "sin(x)+",
        "cos(h)*",
        "tan(x)+",
        "gcd(f,g)+",
        "lcm(f,g)+",
        "comb(c,d)+",
        "comb(130,65)+",
        "perm(170,169)+",
        "sqrt(m)+",
        "gamma(p)*",
        "lgamma(-p)+",
        "remainder(h,t)+",
        "fmod(h,t)+",
        "root(p,7)+",
        "log(p,q)+",
        "cbrt(p)+",
        "isqrt(m)+",
        "atan2(p,q)+",
        "tanh(q)*",
        "erf(p)+",
        "erfc(p)+",
        "fma(p,q,h)*0+",
        "max(m,h)+",
        "2^-3+",
        "3^-80+",
        "m^-1+",
        "7^45+",
        "(-3)^79+",
        "170!+",
        "33!*",
        "0x7fffffffffffffffffffffffffffffff+",
        "170141183460469231731687303715884105727+",
        "1.7014118346046923173168730371588410572e38+",
        "1.00000000000000011102230246251565404e-300+",
        "8.98846567431158053656e307*0+",
        "2.2250738585072011360574097967091319759348195463516456e-308+",
        "1.2345678901234562030599e-221+",
        "0.000000000000000000000000000000000000000000000000012345678901234560106874e-270+",
        "asinh(p)+",
        "expm1(p)+",
        "exp(p)+",
        "1_",
        "q!",
        "ldexp(p,9)+",
        "nextafter(p,q)+",
        "ulp(h)*0+",
        "floor(h)*0+",
        "round(p)+",
        "f!",
        "-p^",
        "(p^q)+",
        "hypot(p,q)+",
        "\u{d7}",
        "p p",
        "sum(1,1)+",
    ]
    .map(str::to_owned)
    .to_vec();
    parts.push(format!("{}e-300+", "1234567890".repeat(70)));
    parts.push(format!("9007199254740993.{}1+", "0".repeat(750)));
    parts.push(format!("{}1+", "0".repeat(300)));
    let mut all = Vec::new();
    for part in &parts {
        let most = (BYTES - 1) / part.len();
        let full = |times: usize, filler: &str| {
            let mut text = part.repeat(times);
            while text.len() + filler.len() < BYTES && !filler.is_empty() {
                text.push_str(filler);
            }
            text + "1"
        };
        // The most repetitions that are not refused as too much work.
        let is_allowed = |times: usize| evaluate(&full(times, ""), &VARIABLES).is_ok_and(|_| true);
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if is_allowed(middle) { low = middle } else { high = middle - 1 }
        }
        all.push(full(most, ""));
        for filler in ["1+", "p+", "1.5/", "m*0+", "-", "1e22+", "(1)+", "1/3+", "m%n*0+", "1!"] {
            all.push(full(low, filler));
        }
    }
    all.push(format!("{}1{}", "(".repeat(64), ")".repeat(64)));
    all.push(format!("{}(1", "a".repeat(4000)));
    all.push("p^".repeat(60) + "1");
    let tower = format!("{}1+", "p^".repeat(60));
    all.push(tower.repeat((BYTES - 1) / tower.len()) + "1");
    all
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// A copy with some bytes replaced, moved, or taken from the other.
fn changed(text: &str, other: &str, chance: &mut u64) -> String {
    const LETTERS: &[u8] = b"0123456789.e+-*/%^!(),htupqmnfgcdxsi ";
    let mut bytes = text.as_bytes().to_vec();
    let length = bytes.len() as u64;
    let from = (random(chance) % length) as usize;
    match random(chance) % 4 {
        0 => bytes[from] = LETTERS[random(chance) as usize % LETTERS.len()],
        1 => bytes.insert(from, LETTERS[random(chance) as usize % LETTERS.len()]),
        2 => {
            bytes.remove(from);
        }
        _ => {
            let piece: Vec<u8> =
                other.bytes().skip(from).take(1 + random(chance) as usize % 64).collect();
            bytes.splice(from..from, piece);
        }
    }
    bytes.truncate(BYTES);
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
