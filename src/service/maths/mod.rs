//! The evaluator.
#![allow(missing_docs)]

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Integer(i128),
    Real(f64),
}
impl std::fmt::Display for Value {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(i) => write!(out, "{i}"),
            Self::Real(r) => write!(out, "{r}"),
        }
    }
}
#[derive(Debug)]
pub struct BadExpression;
impl BadExpression {
    pub fn position(&self) -> usize {
        0
    }
}
impl std::fmt::Display for BadExpression {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("stub")
    }
}
pub fn evaluate(expression: &str, _variables: &[(&str, Value)]) -> Result<Value, BadExpression> {
    expression.parse().map(Value::Integer).map_err(|_| BadExpression)
}
pub fn parse_number(text: &str) -> Option<Value> {
    text.parse().ok().map(Value::Integer)
}
pub fn check_variable_name(_name: &str) -> Result<(), String> {
    Ok(())
}
