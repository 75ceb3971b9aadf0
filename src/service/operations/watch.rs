//! `watch`: `status` or `jobs` at an interval.
//!
//! Promises: the first reply comes at once, the others at the interval. Before each, the token is
//! checked. A watcher that does not read is passed over, and sees the next state later.
//! Leaves out: the times, which are in `service::watchers`.

use std::time::Duration;

use super::{Call, Operation, View, jobs, status};
use crate::limits;
use crate::port::Peer;
use crate::protocol::envelope::{field, named};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::access::caller::Caller;
use crate::service::access::opened::OpenedTokens;
use crate::service::origin::Origin;
use crate::service::refusal::Refusal;
use crate::service::watchers::{Watcher, Watchers, What};

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

/// The next watcher that is due and whose peer reads: its request, and what it is told. One that is
/// told nothing more is taken out.
pub fn next_frame(
    view: &View<'_>,
    watchers: &mut Watchers,
    known: &mut OpenedTokens,
    reads: impl Fn(&Peer) -> bool,
) -> Option<(Origin, Result<Answer, Refusal>)> {
    let now = view.now.uptime;
    loop {
        let watcher = watchers.take_due(now)?;
        let origin = watcher.origin.clone();
        if !reads(&origin.peer) {
            watchers.put_back(now, watcher);
            continue;
        }
        let key = origin.peer.key.as_deref();
        let caller = view.policy.authority.identify(known, key, &watcher.token, view.now);
        let frame = caller.map_err(Refusal::Unauthorized);
        let frame = frame.and_then(|caller| frame_for(view, &caller, watcher.what));
        if frame.is_ok() {
            watchers.put_back(now, watcher);
        }
        return Some((origin, frame));
    }
}

fn frame_for(view: &View<'_>, caller: &Caller, what: What) -> Result<Answer, Refusal> {
    watched(what).permit(caller)?;
    let answer = match what {
        What::Status => status::shown(view),
        What::Jobs => jobs::shown(view, caller),
    };
    Ok(match answer {
        Answer::Result(text) => Answer::Event(text),
        other => other,
    })
}
