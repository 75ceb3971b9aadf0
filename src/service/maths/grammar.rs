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
use super::exact::Work;
use super::fault::{Fault, Reason};
use super::functions::{self, Function};
use super::scan::Scanner;
use super::value::Value;
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, VARIABLES_MAX};

/// `Work` of a call, and of what else takes about 100 ns at worst.
const CALL: u32 = 100;

pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    variables: &'a [(&'a str, Value)],
    levels_left: usize,
    work: Work,
}

impl<'a> Parser<'a> {
    pub(super) fn new(expression: &'a str, variables: &'a [(&'a str, Value)]) -> Parser<'a> {
        Parser {
            scanner: Scanner::new(expression),
            variables: variables.get(..VARIABLES_MAX).unwrap_or(variables),
            levels_left: EXPRESSION_DEPTH_MAX,
            work: Work::new(),
        }
    }

    /// Evaluates the whole text.
    pub(super) fn run(&mut self) -> Result<Value, Fault> {
        if self.scanner.text().len() > EXPRESSION_BYTES_MAX {
            return Err(Fault::new(Reason::TooLong, 0, 0));
        }
        let value = self.sum()?;
        if self.scanner.is_at_end() { Ok(value) } else { Err(self.stray(None)) }
    }

    fn sum(&mut self) -> Result<Value, Fault> {
        let mut left = self.product()?;
        loop {
            let at = self.scanner.at();
            let result = match self.scanner.peek() {
                b'+' => left.plus(self.right_of_sum()?),
                b'-' => left.minus(self.right_of_sum()?),
                _ => return Ok(left),
            };
            left = place(result, at, at + 1)?;
        }
    }

    #[inline]
    fn right_of_sum(&mut self) -> Result<Value, Fault> {
        self.scanner.advance();
        self.product()
    }

    #[inline]
    fn product(&mut self) -> Result<Value, Fault> {
        let mut left = self.signed()?;
        loop {
            let at = self.scanner.at();
            let operator = self.scanner.peek();
            if !matches!(operator, b'*' | b'/' | b'%') {
                return Ok(left);
            }
            self.scanner.advance();
            let right = self.signed()?;
            let result = match operator {
                b'*' => left.times(right),
                b'/' => self.charge_division(left, right, false).and_then(|()| left.over(right)),
                _ => self.charge_division(left, right, true).and_then(|()| left.rest(right)),
            };
            left = place(result, at, at + 1)?;
        }
    }

    #[inline]
    fn signed(&mut self) -> Result<Value, Fault> {
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

    #[inline]
    fn power(&mut self) -> Result<Value, Fault> {
        let base = self.postfix()?;
        let at = self.scanner.at();
        match self.scanner.peek() {
            b'^' => (),
            b'*' if self.scanner.peek_second() == b'*' => self.scanner.advance(),
            _ => return Ok(base),
        }
        self.tower(base, at)
    }

    /// The rest of a power, from its operator on. The exponent may be a power itself, so this
    /// recurses, and is not part of the frame of every level.
    #[inline(never)]
    fn tower(&mut self, base: Value, at: usize) -> Result<Value, Fault> {
        self.scanner.advance();
        let operator_end =
            at + if self.scanner.text().as_bytes().get(at) == Some(&b'*') { 2 } else { 1 };
        self.enter(at)?;
        let exponent = self.signed()?;
        self.leave();
        let result = self.charge_power(base, exponent).and_then(|()| base.power(exponent));
        place(result, at, operator_end)
    }

    #[inline]
    fn postfix(&mut self) -> Result<Value, Fault> {
        let mut value = self.primary()?;
        while self.scanner.peek() == b'!' {
            let at = self.scanner.at();
            value = place(value.factorial(), at, at + 1)?;
            self.scanner.advance();
        }
        Ok(value)
    }

    #[inline]
    fn primary(&mut self) -> Result<Value, Fault> {
        match self.scanner.peek() {
            b'0'..=b'9' | b'.' => self.scanner.number(&mut self.work),
            b'(' => self.group(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.name(),
            _ => Err(self.missing()),
        }
    }

    fn group(&mut self) -> Result<Value, Fault> {
        let open = self.scanner.at();
        self.enter(open)?;
        self.scanner.advance();
        let value = self.sum()?;
        if self.scanner.peek() != b')' {
            return Err(self.stray(Some(open)));
        }
        self.scanner.advance();
        self.leave();
        Ok(value)
    }

    #[inline(never)]
    fn name(&mut self) -> Result<Value, Fault> {
        let start = self.scanner.at();
        let name = self.scanner.name();
        let called = self.scanner.peek() == b'(';
        if called && let Some(function) = functions::find(name) {
            return self.call(function, start);
        }
        match functions::constant(name).or_else(|| self.variable(name)) {
            Some(value) => Ok(value),
            None => Err(diagnosis::unknown(name, start, called)),
        }
    }

    fn variable(&self, name: &[u8]) -> Option<Value> {
        let first = name.first();
        let is_it = |known: &[u8]| known.first() == first && known == name;
        self.variables.iter().find(|(known, _)| is_it(known.as_bytes())).map(|&(_, value)| value)
    }

    /// A call, from its parenthesis on.
    fn call(&mut self, function: &'static Function, start: usize) -> Result<Value, Fault> {
        let end = start + function.entry.name().len();
        let open = self.scanner.at();
        self.enter(open)?;
        place(self.work.charge(CALL), start, end)?;
        self.scanner.advance();
        let mut arguments = functions::Arguments::new(function);
        if self.scanner.peek() != b')' {
            loop {
                let argument = self.sum()?;
                place(arguments.take(argument, &mut self.work), start, end)?;
                match self.scanner.peek() {
                    b',' => self.scanner.advance(),
                    b')' => break,
                    _ => return Err(self.stray(Some(open))),
                }
            }
        }
        self.scanner.advance();
        self.leave();
        place(arguments.apply(&mut self.work), start, end)
    }

    fn enter(&mut self, at: usize) -> Result<(), Fault> {
        match self.levels_left.checked_sub(1) {
            Some(left) => self.levels_left = left,
            None => return Err(Fault::new(Reason::TooDeep, at, at + 1)),
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.levels_left += 1;
    }

    /// Whole numbers of more than 63 bits are divided bit by bit, and so are remainders of
    /// doubles that lie far apart.
    #[inline]
    fn charge_division(&mut self, left: Value, right: Value, rest: bool) -> Result<(), Reason> {
        let costly = match (left, right) {
            (Value::Integer(a), Value::Integer(b)) => {
                i64::try_from(a).and(i64::try_from(b)).is_err()
            }
            _ => rest && left.to_f64().abs() > 1e9 * right.to_f64().abs(),
        };
        if costly { self.work.charge(CALL) } else { Ok(()) }
    }

    fn charge_power(&mut self, base: Value, exponent: Value) -> Result<(), Reason> {
        match (base, exponent) {
            (Value::Integer(_), Value::Integer(0..)) => self.work.charge(CALL / 4),
            _ => self.work.charge(CALL),
        }
    }

    #[cold]
    fn missing(&self) -> Fault {
        diagnosis::missing(self.scanner.text(), self.scanner.at())
    }

    #[cold]
    fn stray(&self, open: Option<usize>) -> Fault {
        diagnosis::stray(self.scanner.text(), self.scanner.at(), open)
    }
}

/// Says where in the text a reason lies.
#[inline]
fn place<T>(result: Result<T, Reason>, start: usize, end: usize) -> Result<T, Fault> {
    result.map_err(|reason| Fault::new(reason, start, end))
}
