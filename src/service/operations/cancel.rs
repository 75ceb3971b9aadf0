//! `cancel`: ends a command of the same subject that runs or waits.
//!
//! Promises: stopping a command is never refused for its cost, which is less than the command's.
//! A `cancel` that finds nothing counts as a request. Leaves out: commands of others.

use super::{Call, Operation, result};
use crate::protocol::Members;
use crate::protocol::envelope::{field, id, named};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "cancel",
    fields: &["target"],
    scope: None,
    limited: false,
    about: "ends a running or waiting command of the same subject",
    run,
};

fn run(call: &mut Call<'_>, fields: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let target = named("target", id(field(fields, "target")?))?;
    let subject = call.caller.subject();
    match call.jobs.cancel(call.now.uptime, subject, &target, call.out) {
        Some(closed) => {
            call.closed = closed;
            Ok(Some(result(&Members(&[("cancelled", true)]))))
        }
        None => {
            call.charge()?;
            Err(Refusal::NotFound)
        }
    }
}
