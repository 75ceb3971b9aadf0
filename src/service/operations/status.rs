//! `status`: the counters.
//!
//! Promises: counts since the start, and what runs and waits now.
//! Leaves out: who runs what.

use super::{Call, Operation, result};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::counters::Status;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "status",
    fields: &[],
    scope: Some("status"),
    limited: true,
    about: "tells counts since the start",
    run,
};

fn run(call: &mut Call<'_>, _: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    Ok(Some(result(&Status {
        uptime: call.now.uptime,
        cleartext: call.settings.cleartext,
        commands: call.jobs.counts(),
        totals: call.counters,
    })))
}
