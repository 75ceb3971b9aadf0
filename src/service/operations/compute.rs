//! `compute`: the value of a mathematical expression.
//!
//! Promises: one answer at once, within the bounds of `service::maths`.
//! Leaves out: the evaluation.

use super::{Call, Operation};
use crate::limits;
use crate::protocol::envelope::{Wrong, named, text, within};
use crate::protocol::json::{Json, Kind, Object, echo};
use crate::protocol::reply::Answer;
use crate::service::maths::{self, Value};
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "compute",
    fields: &["expression", "variables", "text"],
    scope: Some("compute"),
    limited: true,
    about: "evaluates an expression",
    run,
};

fn run(_: &mut Call<'_>, fields: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let expression = text(fields, "expression", limits::EXPRESSION_BYTES_MAX)?;
    let as_text = fields.get("text").map(|json| named("text", json.boolean())).transpose()?;
    let json = fields.get("variables");
    let variables = json.map(numbers).transpose()?;
    let mut values: Vec<(&str, Value)> = Vec::new();
    for (name, number) in variables.iter().flat_map(Object::members) {
        maths::check_variable_name(name)
            .map_err(|why| Refusal::BadVariable(format!("variable {} {why}", echo(name))))?;
        let value = maths::parse_number(number.text()).ok_or_else(|| {
            Refusal::BadVariable(format!("variable {name}: its number is out of range"))
        })?;
        values.push((name, value));
    }
    let value = maths::evaluate(&expression, &values).map_err(Refusal::BadExpression)?;
    let answer = if as_text == Some(true) { Answer::Number } else { Answer::Result };
    Ok(Some(answer(value.to_string())))
}

/// The variables: names and numbers.
fn numbers(json: Json<'_>) -> Result<Object<'_>, Wrong> {
    let variables = named("variables", json.object())?;
    within(json, "variables", variables.members().count(), limits::VARIABLES_MAX, "variables")?;
    if let Some((name, value)) = variables.members().find(|(_, v)| v.kind() != Kind::Number) {
        let found = value.kind();
        let message = format!("variables: {} must be a number, not {found}", echo(name));
        return Err(value.fault(message).into());
    }
    Ok(variables)
}
