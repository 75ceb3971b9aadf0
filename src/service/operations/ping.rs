//! `ping`: whether the daemon answers.
//!
//! Promises: version and uptime. Leaves out: whether commands would run.

use super::{Call, Operation, result};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "ping",
    fields: &[],
    scope: None,
    limited: true,
    about: "tells version and uptime",
    run,
};

#[derive(serde::Serialize)]
struct Ping {
    version: &'static str,
    uptime_ms: u64,
}

fn run(call: &mut Call<'_>, _: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let uptime = u64::try_from(call.now.uptime.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(result(&Ping { version: env!("CARGO_PKG_VERSION"), uptime_ms: uptime })))
}
