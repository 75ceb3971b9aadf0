//! The parser: recursive descent with one function for each operator precedence, which evaluates
//! while it parses.
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
//! Promises: no syntax tree and no heap; parentheses, calls and chains of `^` are at most
//! `EXPRESSION_DEPTH_MAX` levels deep together, and no other recursion exists.
//! Leaves out: the kind of a syntax error (syntax_errors.rs).

use super::budget::{Budget, CALL};
use super::builtins::{self, Function};
use super::error::{Error, ErrorKind};
use super::lexer::{Failed, Lexer};
use super::syntax_errors;
use super::value::Value;
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, VARIABLES_MAX};

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    variables: &'a [(&'a str, Value)],
    levels_left: usize,
    budget: Budget,
    integer: i128,
    real: f64,
}

/// Which field of the parser holds the value of the part that was parsed last.
#[derive(Clone, Copy)]
enum Held {
    Integer,
    Real,
}

impl<'a> Parser<'a> {
    pub(super) fn new(expression: &'a str, variables: &'a [(&'a str, Value)]) -> Parser<'a> {
        Parser {
            lexer: Lexer::new(expression),
            variables: variables.get(..VARIABLES_MAX).unwrap_or(variables),
            levels_left: EXPRESSION_DEPTH_MAX,
            budget: Budget::new(),
            integer: 0,
            real: 0.0,
        }
    }

    /// Evaluates the whole expression.
    #[inline(always)]
    pub(super) fn run(&mut self) -> Result<Value, Error> {
        match self.expression() {
            Ok(value) => Ok(self.held(value)),
            Err(Failed) => Err(self.lexer.error),
        }
    }

    #[inline(always)]
    fn expression(&mut self) -> Result<Held, Failed> {
        if self.lexer.text.len() > EXPRESSION_BYTES_MAX {
            return self.lexer.fail(
                ErrorKind::LengthLimit,
                EXPRESSION_BYTES_MAX,
                EXPRESSION_BYTES_MAX,
            );
        }
        let value = self.sum()?;
        if self.lexer.is_at_end() { Ok(value) } else { self.unexpected(None) }
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
            operator = self.lexer.peek();
            at = self.lexer.at;
            if !matches!(operator, b'+' | b'-') {
                return Ok(self.hold(left));
            }
            self.lexer.advance();
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
                b'/' => left.over(right, &mut self.budget),
                _ => left.remainder(right, &mut self.budget),
            };
            left = self.place(result, at, at + 1)?;
            operator = self.lexer.peek();
            at = self.lexer.at;
            if !matches!(operator, b'*' | b'/' | b'%') {
                return Ok(left);
            }
            self.lexer.advance();
        }
    }

    #[inline(always)]
    fn signed(&mut self) -> Result<Value, Failed> {
        let mut negative = false;
        loop {
            match self.lexer.peek() {
                b'-' => negative = !negative,
                b'+' => (),
                _ => break,
            }
            self.lexer.advance();
        }
        let value = self.power()?;
        Ok(if negative { value.negated() } else { value })
    }

    #[inline(always)]
    fn power(&mut self) -> Result<Value, Failed> {
        let base = self.postfix()?;
        let at = self.lexer.at;
        match self.lexer.peek() {
            b'^' => (),
            b'*' if self.lexer.peek_second() == b'*' => self.lexer.advance(),
            _ => return Ok(base),
        }
        let value = self.exponentiation(base, at)?;
        Ok(self.held(value))
    }

    /// Parses the rest of a power, from its operator on. The exponent may be a power itself: this
    /// function recurses, and a function of its own keeps the frames of the other levels small.
    #[inline(never)]
    fn exponentiation(&mut self, base: Value, at: usize) -> Result<Held, Failed> {
        self.lexer.advance();
        let operator_end =
            at + if self.lexer.text.as_bytes().get(at) == Some(&b'*') { 2 } else { 1 };
        self.enter(at)?;
        let exponent = self.signed()?;
        self.levels_left += 1;
        match base.power(exponent, &mut self.budget) {
            Ok(value) => Ok(self.hold(value)),
            Err(kind) => self.lexer.fail(kind, at, operator_end),
        }
    }

    #[inline(always)]
    fn postfix(&mut self) -> Result<Value, Failed> {
        let value = self.primary()?;
        if self.lexer.peek() != b'!' {
            return Ok(value);
        }
        let value = self.factorials(value)?;
        Ok(self.held(value))
    }

    #[inline(never)]
    fn factorials(&mut self, mut value: Value) -> Result<Held, Failed> {
        while self.lexer.peek() == b'!' {
            let at = self.lexer.at;
            value = self.place(value.factorial(), at, at + 1)?;
            self.lexer.advance();
        }
        Ok(self.hold(value))
    }

    #[inline(always)]
    fn primary(&mut self) -> Result<Value, Failed> {
        match self.lexer.peek() {
            b'0'..=b'9' | b'.' => self.lexer.number(&mut self.budget),
            b'(' => self.group(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let value = self.name()?;
                Ok(self.held(value))
            }
            _ => {
                let (bytes, at) = (self.lexer.text.as_bytes(), self.lexer.at);
                self.lexer.record(syntax_errors::missing_operand(bytes, at))
            }
        }
    }

    #[inline(always)]
    fn group(&mut self) -> Result<Value, Failed> {
        let open = self.lexer.at;
        self.enter(open)?;
        self.lexer.advance();
        let value = self.sum()?;
        if self.lexer.peek() != b')' {
            return self.unexpected(Some(open));
        }
        self.lexer.advance();
        self.levels_left += 1;
        Ok(self.held(value))
    }

    #[inline(never)]
    fn name(&mut self) -> Result<Held, Failed> {
        let start = self.lexer.at;
        let name = self.lexer.name();
        let called = self.lexer.peek() == b'(';
        if called && let Some(function) = builtins::find(name) {
            return self.call(function, start, start + name.len());
        }
        match builtins::constant(name).or_else(|| self.variable(name)) {
            Some(value) => Ok(self.hold(value)),
            None => self.lexer.record(syntax_errors::unknown_name(name, start, called)),
        }
    }

    fn variable(&self, name: &[u8]) -> Option<Value> {
        let first = name.first();
        let is_it = |known: &[u8]| known.first() == first && known == name;
        self.variables.iter().find(|(known, _)| is_it(known.as_bytes())).map(|&(_, value)| value)
    }

    /// Parses a call of the name at `start..end`, from the parenthesis on.
    fn call(
        &mut self,
        function: &'static Function,
        start: usize,
        end: usize,
    ) -> Result<Held, Failed> {
        let open = self.lexer.at;
        self.enter(open)?;
        let charged = self.budget.charge(CALL);
        self.place(charged, start, end)?;
        self.lexer.advance();
        let mut arguments = builtins::Arguments::new(function);
        if self.lexer.peek() != b')' {
            loop {
                let argument = self.sum()?;
                let argument = self.held(argument);
                let pushed = arguments.push(argument, &mut self.budget);
                self.place(pushed, start, end)?;
                match self.lexer.peek() {
                    b',' => self.lexer.advance(),
                    b')' => break,
                    _ => return self.unexpected(Some(open)),
                }
            }
        }
        self.lexer.advance();
        self.levels_left += 1;
        let result = arguments.apply(&mut self.budget);
        let value = self.place(result, start, end)?;
        Ok(self.hold(value))
    }

    /// Results are passed through two fields of the parser instead of the return value: a `Value`
    /// is too large for registers, and a copy costs more than the rest of a level.
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
            return self.lexer.fail(ErrorKind::DepthLimit, at, at + 1);
        }
        self.levels_left -= 1;
        Ok(())
    }

    #[cold]
    fn unexpected<T>(&mut self, open: Option<usize>) -> Result<T, Failed> {
        let error = syntax_errors::unexpected(self.lexer.text.as_bytes(), self.lexer.at, open);
        self.lexer.record(error)
    }

    /// Adds the place to the kind of an error.
    #[inline(always)]
    fn place<T>(
        &mut self,
        result: Result<T, ErrorKind>,
        start: usize,
        end: usize,
    ) -> Result<T, Failed> {
        match result {
            Ok(value) => Ok(value),
            Err(kind) => self.lexer.fail(kind, start, end),
        }
    }
}
