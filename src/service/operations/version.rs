//! `version`: which version answers, and which requests it knows.
//!
//! Promises: what `operations::ALL` has, so that a client can ask before it relies on a request.
//! Leaves out: which of them the token may send, which `list` tells.

use super::{Call, Operation, result};
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "version",
    fields: &[],
    scope: None,
    limited: true,
    about: "tells the version and the requests that it knows",
    run,
};

#[derive(serde::Serialize)]
struct Version {
    version: &'static str,
    requests: Vec<&'static str>,
}

fn run(_: &mut Call<'_>, _: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let requests = super::ALL.iter().map(|operation| operation.name).collect();
    Ok(Some(result(&Version { version: env!("CARGO_PKG_VERSION"), requests })))
}
