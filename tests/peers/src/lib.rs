//! Our evaluator and four others behind one door: text in, a number or nothing out.
//!
//! Promises: each of them is called in the fastest way that its documentation shows for a text
//! that is seen once; what one of them panics on counts as a refusal with that name.
//! Leaves out: variables.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an evaluator said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// A number, NaN and infinite ones included.
    Number(f64),
    /// No.
    Refused,
    /// It panicked.
    Panicked,
}

/// One evaluator, with whatever it keeps between two texts.
pub struct Peer {
    /// Its name and version.
    pub name: &'static str,
    call: Box<dyn FnMut(&str) -> Option<f64>>,
}

impl Peer {
    /// Evaluates without a net, for timing.
    pub fn number(&mut self, text: &str) -> Option<f64> {
        (self.call)(text)
    }

    /// Evaluates, and survives a panic.
    pub fn say(&mut self, text: &str) -> Said {
        match catch_unwind(AssertUnwindSafe(|| (self.call)(text))) {
            Ok(Some(number)) => Said::Number(number),
            Ok(None) => Said::Refused,
            Err(_) => Said::Panicked,
        }
    }
}

/// Ours first, then the others.
pub fn all() -> Vec<Peer> {
    vec![
        peer("zcmd", ours),
        {
            let context = meval::Context::new();
            peer("meval 0.2.0", move |text| meval::eval_str_with_context(text, &context).ok())
        },
        {
            let mut slab = fasteval::Slab::new();
            let parser = fasteval::Parser::new();
            peer("fasteval 0.2.4", move |text| fast(&parser, &mut slab, text))
        },
        peer("exmex 0.21.0", |text| exmex::eval_str::<f64>(text).ok()),
        peer("evalexpr 13.1.0", |text| match evalexpr::eval(text) {
            Ok(evalexpr::Value::Int(number)) => Some(number as f64),
            Ok(evalexpr::Value::Float(number)) => Some(number),
            _ => None,
        }),
    ]
}

fn peer(name: &'static str, call: impl FnMut(&str) -> Option<f64> + 'static) -> Peer {
    Peer { name, call: Box::new(call) }
}

/// Our evaluator.
pub fn ours(text: &str) -> Option<f64> {
    match zcmd::service::maths::evaluate(text, &[]) {
        Ok(zcmd::service::maths::Value::Integer(number)) => Some(number as f64),
        Ok(zcmd::service::maths::Value::Real(number)) => Some(number),
        Err(_) => None,
    }
}

fn fast(parser: &fasteval::Parser, slab: &mut fasteval::Slab, text: &str) -> Option<f64> {
    use fasteval::Evaler;
    let parsed = parser.parse(text, &mut slab.ps).ok()?;
    parsed.from(&slab.ps).eval(slab, &mut fasteval::EmptyNamespace).ok()
}

/// The same text for a peer that has other names for the functions.
pub fn spelled_for(name: &str, text: &str) -> String {
    const MATH: [&str; 22] = [
        "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh",
        "acosh", "atanh", "sqrt", "cbrt", "hypot", "abs", "ln", "log2", "log10", "exp", "pow",
    ];
    if !name.starts_with("evalexpr") {
        return text.to_owned();
    }
    let mut spelled = String::new();
    let mut word = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        if MATH.contains(&word.as_str()) {
            spelled.push_str("math::");
        }
        spelled.push_str(&word);
        spelled.push(character);
        word.clear();
    }
    spelled.pop();
    spelled
}

/// An expression that is that deep, with every operator on each level.
pub fn nested(levels: usize) -> String {
    (0..levels).fold("1".to_owned(), |inner, _| format!("(1+2*3/4%5-2^0+{inner})"))
}
