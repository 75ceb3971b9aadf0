//! `list`: what the token may run.
//!
//! Promises: what the scope includes and nothing else, with the rules for parameters.
//! Leaves out: what the owner did not write for callers: programs, users, limits.

use super::{Call, Operation, result};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "list",
    fields: &[],
    scope: None,
    limited: true,
    about: "lists what the token may run",
    run,
};

fn run(call: &mut Call<'_>, _: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    Ok(Some(result(&call.policy.commands.list(call.caller))))
}
