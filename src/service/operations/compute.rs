//! `compute`: the value of a mathematical expression.
//!
//! Promises: one answer at once, within the bounds of `service::maths`.
//! Leaves out: the evaluation.

use super::{Call, Operation};
use crate::limits;
use crate::protocol::envelope::{named, text, within};
use crate::protocol::json::{Json, Kind, Object, echo};
use crate::protocol::reply::Answer;
use crate::service::maths::{self, Value};
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "compute",
    fields: &["expression", "variables"],
    scope: Some("compute"),
    limited: true,
    about: "evaluates an expression",
    run,
};

fn run(_: &mut Call<'_>, fields: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let expression = text(fields, "expression", limits::EXPRESSION_BYTES_MAX)?;
    let json = fields.get("variables");
    let variables = json.map(|json| named("variables", json.object())).transpose()?;
    let mut values: Vec<(&str, Value)> = Vec::new();
    if let (Some(json), Some(variables)) = (json, &variables) {
        let count = variables.members().count();
        within(json, "variables", count, limits::VARIABLES_MAX, "variables")?;
        for (name, number) in variables.members() {
            values.push((name, value(name, number)?));
        }
    }
    let value = maths::evaluate(&expression, &values).map_err(Refusal::BadExpression)?;
    Ok(Some(Answer::Result(value.to_string())))
}

/// The value of a variable.
fn value(name: &str, number: Json<'_>) -> Result<Value, Refusal> {
    if number.kind() != Kind::Number {
        let found = number.kind();
        let message = format!("variables: {} must be a number, not {found}", echo(name));
        return Err(Refusal::Malformed(number.fault(message)));
    }
    maths::check_variable_name(name).map_err(|why| Refusal::BadVariable(why.to_string()))?;
    maths::parse_number(number.text())
        .ok_or_else(|| Refusal::BadVariable(format!("variable {name}: its number is out of range")))
}
