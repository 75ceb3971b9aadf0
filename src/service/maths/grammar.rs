//! The grammar, one function a level, which evaluates as it reads.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = signed { ("*" | "/" | "%") signed }
//! signed  = { "+" | "-" } power
//! power   = postfix [ ("^" | "**") signed ]
//! postfix = primary { "!" }
//! primary = number | constant | variable | "(" sum ")" | function "(" sum { "," sum } ")"
//! ```
//!
//! Promises: no tree, no heap; parentheses, calls and towers of `^` go `EXPRESSION_DEPTH_MAX`
//! deep together; nothing else recurses.
//! Leaves out: why a text is no expression, beyond the place (diagnosis.rs).

use super::diagnosis;
use super::exact::{CALL, Work};
use super::fault::{Failed, Fault, Reason};
use super::functions::{self, Function};
use super::scan::Scanner;
use super::value::{Outcome, Value};
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, VARIABLES_MAX};

const TOO_LONG: Reason = Reason::Say("an expression has at most 4096 bytes");
const TOO_DEEP: Reason = Reason::Say("( ) and ^ go at most 64 levels deep");
const _: () = assert!(EXPRESSION_BYTES_MAX == 4096 && EXPRESSION_DEPTH_MAX == 64);

pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    variables: &'a [(&'a str, Value)],
    levels_left: usize,
    work: Work,
    integer: i128,
    real: f64,
}

/// Where the parser holds the value of the part that it has read last.
#[derive(Clone, Copy)]
enum Held {
    Integer,
    Real,
}

impl<'a> Parser<'a> {
    pub(super) fn new(expression: &'a str, variables: &'a [(&'a str, Value)]) -> Parser<'a> {
        Parser {
            scanner: Scanner::new(expression),
            variables: variables.get(..VARIABLES_MAX).unwrap_or(variables),
            levels_left: EXPRESSION_DEPTH_MAX,
            work: Work::new(),
            integer: 0,
            real: 0.0,
        }
    }

    /// Evaluates the whole text.
    #[inline(always)]
    pub(super) fn run(&mut self) -> Result<Value, Option<Fault>> {
        match self.whole() {
            Ok(value) => Ok(self.held(value)),
            Err(Failed) => Err(self.scanner.fault()),
        }
    }

    #[inline(always)]
    fn whole(&mut self) -> Result<Held, Failed> {
        if self.scanner.text().len() > EXPRESSION_BYTES_MAX {
            return self.scanner.fail(TOO_LONG, EXPRESSION_BYTES_MAX, EXPRESSION_BYTES_MAX);
        }
        let value = self.sum()?;
        if self.scanner.is_at_end() { Ok(value) } else { self.stray(None) }
    }

    #[inline(never)]
    fn sum(&mut self) -> Result<Held, Failed> {
        let mut left = Value::Integer(0);
        let mut operator = 0;
        let mut at = 0;
        loop {
            let right = self.product()?;
            let result = match operator {
                0 => Ok(right),
                b'+' => left.plus(right),
                _ => left.minus(right),
            };
            left = self.place(result, at, at + 1)?;
            operator = self.scanner.peek();
            at = self.scanner.at();
            if !matches!(operator, b'+' | b'-') {
                return Ok(self.hold(left));
            }
            self.scanner.advance();
        }
    }

    #[inline(always)]
    fn product(&mut self) -> Result<Value, Failed> {
        let mut left = Value::Integer(0);
        let mut operator = 0;
        let mut at = 0;
        loop {
            let right = self.signed()?;
            let result = match operator {
                0 => Ok(right),
                b'*' => left.times(right),
                b'/' => left.over(right, &mut self.work),
                _ => left.rest(right, &mut self.work),
            };
            left = self.place(result, at, at + 1)?;
            operator = self.scanner.peek();
            at = self.scanner.at();
            if !matches!(operator, b'*' | b'/' | b'%') {
                return Ok(left);
            }
            self.scanner.advance();
        }
    }

    #[inline(always)]
    fn signed(&mut self) -> Result<Value, Failed> {
        let mut negative = false;
        loop {
            match self.scanner.peek() {
                b'-' => negative = !negative,
                b'+' => (),
                _ => break,
            }
            self.scanner.advance();
        }
        let value = self.power()?;
        Ok(if negative { value.negated() } else { value })
    }

    #[inline(always)]
    fn power(&mut self) -> Result<Value, Failed> {
        let base = self.postfix()?;
        let at = self.scanner.at();
        match self.scanner.peek() {
            b'^' => (),
            b'*' if self.scanner.peek_second() == b'*' => self.scanner.advance(),
            _ => return Ok(base),
        }
        let value = self.tower(base, at)?;
        Ok(self.held(value))
    }

    /// The rest of a power, from its operator on. The exponent may be a power itself, so this
    /// recurses, and is not part of the frame of every level.
    #[inline(never)]
    fn tower(&mut self, base: Value, at: usize) -> Result<Held, Failed> {
        self.scanner.advance();
        let operator_end =
            at + if self.scanner.text().as_bytes().get(at) == Some(&b'*') { 2 } else { 1 };
        self.enter(at)?;
        let exponent = self.signed()?;
        self.leave();
        match base.power(exponent, &mut self.work) {
            Ok(value) => Ok(self.hold(value)),
            Err(reason) => self.scanner.fail(reason, at, operator_end),
        }
    }

    #[inline(always)]
    fn postfix(&mut self) -> Result<Value, Failed> {
        let value = self.primary()?;
        if self.scanner.peek() != b'!' {
            return Ok(value);
        }
        let value = self.factorials(value)?;
        Ok(self.held(value))
    }

    #[inline(never)]
    fn factorials(&mut self, mut value: Value) -> Result<Held, Failed> {
        while self.scanner.peek() == b'!' {
            let at = self.scanner.at();
            value = self.place(value.factorial(), at, at + 1)?;
            self.scanner.advance();
        }
        Ok(self.hold(value))
    }

    #[inline(always)]
    fn primary(&mut self) -> Result<Value, Failed> {
        match self.scanner.peek() {
            b'0'..=b'9' | b'.' => self.scanner.number(&mut self.work),
            b'(' => self.group(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let value = self.name()?;
                Ok(self.held(value))
            }
            _ => self.missing(),
        }
    }

    #[inline(always)]
    fn group(&mut self) -> Result<Value, Failed> {
        let open = self.scanner.at();
        self.enter(open)?;
        self.scanner.advance();
        let value = self.sum()?;
        if self.scanner.peek() != b')' {
            return self.stray(Some(open));
        }
        self.scanner.advance();
        self.leave();
        Ok(self.held(value))
    }

    #[inline(never)]
    fn name(&mut self) -> Result<Held, Failed> {
        let start = self.scanner.at();
        let name = self.scanner.name();
        let called = self.scanner.peek() == b'(';
        if called && let Some(function) = functions::find(name) {
            return self.call(function, start, start + name.len());
        }
        match functions::constant(name).or_else(|| self.variable(name)) {
            Some(value) => Ok(self.hold(value)),
            None => self.scanner.keep(diagnosis::unknown(name, start, called)),
        }
    }

    fn variable(&self, name: &[u8]) -> Option<Value> {
        let first = name.first();
        let is_it = |known: &[u8]| known.first() == first && known == name;
        self.variables.iter().find(|(known, _)| is_it(known.as_bytes())).map(|&(_, value)| value)
    }

    /// A call, from its parenthesis on, of the name at `start..end`.
    fn call(
        &mut self,
        function: &'static Function,
        start: usize,
        end: usize,
    ) -> Result<Held, Failed> {
        let open = self.scanner.at();
        self.enter(open)?;
        if let Err(reason) = self.work.charge(CALL) {
            return self.scanner.fail(reason, start, end);
        }
        self.scanner.advance();
        let mut arguments = functions::Arguments::new(function);
        if self.scanner.peek() != b')' {
            loop {
                let argument = self.sum()?;
                let argument = self.held(argument);
                if let Err(reason) = arguments.take(argument, &mut self.work) {
                    return self.scanner.fail(arguments.named(reason), start, end);
                }
                match self.scanner.peek() {
                    b',' => self.scanner.advance(),
                    b')' => break,
                    _ => return self.stray(Some(open)),
                }
            }
        }
        self.scanner.advance();
        self.leave();
        match arguments.apply(&mut self.work) {
            Ok(value) => Ok(self.hold(value)),
            Err(reason) => self.scanner.fail(arguments.named(reason), start, end),
        }
    }

    /// Results go through two places of the parser instead of the return value: a `Value` is
    /// too large for registers, and copying one costs more than the rest of a level.
    #[inline(always)]
    fn hold(&mut self, value: Value) -> Held {
        match value {
            Value::Integer(number) => {
                self.integer = number;
                Held::Integer
            }
            Value::Real(x) => {
                self.real = x;
                Held::Real
            }
        }
    }

    #[inline(always)]
    fn held(&self, held: Held) -> Value {
        match held {
            Held::Integer => Value::Integer(self.integer),
            Held::Real => Value::Real(self.real),
        }
    }

    fn enter(&mut self, at: usize) -> Result<(), Failed> {
        if self.levels_left == 0 {
            return self.scanner.fail(TOO_DEEP, at, at + 1);
        }
        self.levels_left -= 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.levels_left += 1;
    }

    #[cold]
    fn missing<T>(&mut self) -> Result<T, Failed> {
        let fault = diagnosis::missing(self.scanner.text(), self.scanner.at());
        self.scanner.keep(fault)
    }

    #[cold]
    fn stray<T>(&mut self, open: Option<usize>) -> Result<T, Failed> {
        let fault = diagnosis::stray(self.scanner.text(), self.scanner.at(), open);
        self.scanner.keep(fault)
    }

    /// Says where in the text a reason lies.
    #[inline(always)]
    fn place(&mut self, outcome: Outcome, start: usize, end: usize) -> Result<Value, Failed> {
        match outcome {
            Ok(value) => Ok(value),
            Err(reason) => self.scanner.fail(reason, start, end),
        }
    }
}
