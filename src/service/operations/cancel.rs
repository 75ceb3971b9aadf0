//! `cancel`: ends a command that runs or waits, or a `watch`.
//!
//! Promises: a caller reaches its own, by the `id` of the request or by the number of the job; one
//! whose scope includes `admin` reaches those of others by their number, and is logged. Stopping a
//! command is never refused for its cost, which is less than the command's. A `cancel` that finds
//! nothing counts as a request, and does not tell whether another has such a job.
//! Leaves out: how a command is ended.

use super::jobs::ADMIN;
use super::{Call, Operation, result};
use crate::port::{JobId, Level};
use crate::protocol::Members;
use crate::protocol::envelope::{field, id, named};
use crate::protocol::json::{Json, Object};
use crate::protocol::reply::Answer;
use crate::service::audit;
use crate::service::jobs::{Closed, Order};
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "cancel",
    fields: &["target", "job"],
    scope: None,
    limited: false,
    about: "ends a running or waiting command: one's own; with scope admin, any",
    run,
};

fn run(call: &mut Call<'_>, fields: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let found = match (fields.get("target"), fields.get("job")) {
        (Some(_), Some(job)) => return Err(job.fault("both target and job").into()),
        (None, Some(job)) => by_number(call, JobId(named("job", job.integer())?)),
        (_, None) => by_id(call, field(fields, "target")?)?,
    };
    match found {
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

/// Ends what the caller has asked for under this `id`; none if there is nothing.
fn by_id(call: &mut Call<'_>, target: Json<'_>) -> Result<Option<Vec<Closed>>, Refusal> {
    let id = named("target", id(target))?;
    let subject = call.caller.subject();
    let own = |_, order: &Order| order.subject == *subject && order.origin.id.as_ref() == Some(&id);
    let closed = call.jobs.cancel(call.now.uptime, own, call.out);
    call.unwatched = call.watchers.cancel(subject, &id);
    Ok(closed.or_else(|| (!call.unwatched.is_empty()).then(Vec::new)))
}

/// Ends the job of this number, if the caller may; none if there is nothing.
fn by_number(call: &mut Call<'_>, job: JobId) -> Option<Vec<Closed>> {
    let subject = call.caller.subject();
    let entry = call.jobs.entries().find(|entry| entry.job == job)?;
    let mut of_another = Vec::new();
    if entry.subject != subject {
        if !call.caller.may(ADMIN) {
            return None;
        }
        of_another = audit::who(call.origin, Some(call.caller), &call.policy.authority);
        of_another.push(("command", entry.command.into()));
        of_another.push(("of", entry.subject.name().into()));
    }
    let closed = call.jobs.cancel(call.now.uptime, |id, _| id == job, call.out)?;
    if !of_another.is_empty() {
        call.out.push(audit::line(Level::Info, "cancelled", of_another));
    }
    Some(closed)
}
