//! `jobs`: the commands that run and wait.
//!
//! Promises: a caller sees its own; one whose scope includes `admin` sees all, with subject and
//! address. Parameters are never shown. The number of entries is bounded, and the rest is counted.
//! Leaves out: commands that have ended, which are in the log.

use serde::Serialize;

use super::{Call, Operation, View, result};
use crate::limits;
use crate::protocol::json::Object;
use crate::protocol::reply::Answer;
use crate::protocol::request::Id;
use crate::service::access::caller::Caller;
use crate::service::jobs::Entry;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "jobs",
    fields: &[],
    scope: None,
    limited: true,
    about: "lists running and waiting commands: one's own; with scope admin, all",
    run,
};

/// The word of the scope that reaches the commands of others.
pub(super) const ADMIN: &str = "admin";

#[derive(Serialize)]
struct Listed<'a> {
    jobs: Vec<Shown<'a>>,
    /// How many there are beyond these.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<usize>,
}

#[derive(Serialize)]
struct Shown<'a> {
    job: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    command: &'a str,
    state: &'static str,
    age_ms: u128,
    stdout_bytes: u64,
    stderr_bytes: u64,
    #[serde(flatten)]
    whose: Option<Whose<'a>>,
}

#[derive(Serialize)]
struct Whose<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    subject: &'a str,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
}

fn run(call: &mut Call<'_>, _: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    Ok(Some(shown(&call.view(), call.caller)))
}

/// The answer to `jobs`.
pub(super) fn shown(view: &View<'_>, caller: &Caller) -> Answer {
    let all = caller.may(ADMIN);
    let subject = caller.subject();
    let mut entries = view.jobs.entries().filter(|entry| all || entry.subject == subject);
    let jobs: Vec<_> = entries.by_ref().take(limits::JOBS_LISTED_MAX).collect();
    let more = entries.count();
    let jobs = jobs.into_iter().map(|entry| show(view, all, entry)).collect();
    result(&Listed { jobs, more: (more > 0).then_some(more) })
}

fn show<'a>(view: &View<'a>, all: bool, entry: Entry<'a>) -> Shown<'a> {
    let age = view.now.uptime.saturating_sub(entry.since);
    let peer = &entry.origin.peer;
    let client = || view.policy.authority.clients.as_ref()?.find(peer.key.as_deref()?);
    let whose = || Whose {
        issuer: entry.subject.issuer(),
        subject: entry.subject.name(),
        address: peer.address.map_or("local".to_owned(), |address| address.to_string()),
        client: client().map(|client| client.name.as_str()),
    };
    Shown {
        job: entry.job.0,
        id: entry.origin.id.as_ref(),
        command: entry.command,
        state: entry.state,
        age_ms: age.as_millis(),
        stdout_bytes: entry.written.stdout,
        stderr_bytes: entry.written.stderr,
        whose: all.then(whose),
    }
}
