//! `watch`: `status` or `jobs` at an interval.
//!
//! Promises: the first reply comes at once, the others at the interval. Before each, the token is
//! checked. A watcher that does not read is passed over, and sees the next state later.
//! Leaves out: the times, which are in `service::watchers`.

use std::time::Duration;

use super::{Call, Operation, View, jobs, status};
use crate::limits;
use crate::protocol::envelope::{field, named};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::refusal::Refusal;
use crate::service::watchers::{Watcher, What};

pub(super) const OPERATION: Operation = Operation {
    name: "watch",
    fields: &["what", "every_ms"],
    scope: None,
    limited: true,
    about: "tells status or jobs at an interval, until it is cancelled",
    run,
};

fn run(call: &mut Call<'_>, fields: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let json = field(fields, "what")?;
    let what = match named("what", json.string())?.as_ref() {
        "status" => What::Status,
        "jobs" => What::Jobs,
        _ => return Err(json.fault("what: use status or jobs").into()),
    };
    let [least, most] = [limits::WATCH_MS_MIN, limits::WATCH_MS_MAX];
    let every = match fields.get("every_ms") {
        None => least,
        Some(json) => match named("every_ms", json.integer())? {
            every if (least..=most).contains(&every) => every,
            _ => return Err(json.fault(format!("every_ms: must be {least} to {most}")).into()),
        },
    };
    watched(what).permit(call.caller)?;
    let watcher = Watcher {
        origin: call.origin.clone(),
        token: call.token.to_owned(),
        what,
        every: Duration::from_millis(every),
    };
    match call.watchers.add(call.now.uptime, watcher) {
        true => Ok(None),
        false => Err(Refusal::TooManyWatchers),
    }
}

fn watched(what: What) -> &'static Operation {
    match what {
        What::Status => &status::OPERATION,
        What::Jobs => &jobs::OPERATION,
    }
}

/// One reply to a watcher.
///
/// # Errors
/// The caller's scope does not include what is watched.
pub(in crate::service) fn shown(view: &View<'_>, what: What) -> Result<Answer, Refusal> {
    watched(what).permit(view.caller)?;
    let answer = match what {
        What::Status => status::shown(view),
        What::Jobs => jobs::shown(view),
    };
    Ok(match answer {
        Answer::Result(text) => Answer::Event(text),
        other => other,
    })
}
