//! `status`: the counters.
//!
//! Promises: counts since the start, what runs and waits now, and whether the log takes its lines.
//! Leaves out: who runs what.

use super::{Call, Operation, View, result};
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
    Ok(Some(shown(&call.view())))
}

/// The answer to `status`.
pub(super) fn shown(view: &View<'_>) -> Answer {
    result(&Status {
        uptime: view.now.uptime,
        cleartext: view.settings.cleartext,
        commands: view.jobs.counts(),
        totals: view.counters,
        log: view.log,
    })
}
