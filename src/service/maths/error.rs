//! Why an expression has no value, as plain data: the kind of error and its place.
//!
//! Promises: a kind is a few bytes without a reference, so that each step of an evaluation can
//! return one.
//! Leaves out: the message (message.rs).

use crate::limits::EXPRESSION_BYTES_MAX;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ErrorKind {
    // Limits.
    LengthLimit,
    DepthLimit,
    WorkLimit,
    // Evaluation.
    Overflow,
    DivisionByZero,
    /// An argument outside the domain of a function.
    Domain,
    FactorialDomain,
    /// A negative base with an exponent that is not an integer.
    NegativeBase,
    /// A wrong number of arguments: this one.
    ArgumentCount(u16),
    /// `log` with one argument.
    LogWithoutBase,
    // Names.
    UnknownName,
    UnknownFunction,
    /// The name of a function without its arguments.
    FunctionWithoutCall,
    // Number literals.
    PointWithoutDigit,
    ExponentWithoutDigit,
    HexadecimalDigit,
    BinaryDigit,
    Octal,
    /// A hexadecimal or binary number of more than 127 bits.
    RadixOverflow,
    SecondPoint,
    DigitSeparator,
    // Operators and parentheses.
    Empty,
    EmptyParentheses,
    PercentSign,
    FloorDivision,
    PrefixFactorial,
    OperandMissingBefore,
    OperandMissingAfter,
    /// Two operands in a row; the left one is at these bytes.
    OperatorMissing(u16, u16),
    AdjacentNumbers,
    StrayComma,
    UnclosedParenthesis,
    UnopenedParenthesis,
    UnknownCharacter,
}

/// An error and the bytes of the expression where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Error {
    pub(super) kind: ErrorKind,
    pub(super) start: u16,
    pub(super) end: u16,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, start: usize, end: usize) -> Error {
        Error { kind, start: start as u16, end: end as u16 }
    }
}

const _: () = assert!(EXPRESSION_BYTES_MAX < u16::MAX as usize);
