//! `os`: one of the commands that the owner has allowed.
//!
//! Promises: what runs was permitted for this caller. The answer comes when the command has ended,
//! or at once with `explain`, which runs nothing.
//! Leaves out: what a command may be (`service::commands`), and how it runs (`service::jobs`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Operation, result};
use crate::limits;
use crate::port::{Field, Level};
use crate::protocol::envelope::{Wrong, named, text, within};
use crate::protocol::json::{Json, Kind, Object, echo};
use crate::protocol::reply::Answer;
use crate::protocol::request::{Os, Values};
use crate::service::audit;
use crate::service::jobs::Order;
use crate::service::refusal::Refusal;

pub(super) const OPERATION: Operation = Operation {
    name: "os",
    fields: &[
        "command_name",
        "parameters",
        "stdin",
        "stdin_base64",
        "timeout_ms",
        "stream",
        "explain",
        "confirmed",
    ],
    // The word depends on the command: os:NAME.
    scope: None,
    limited: true,
    about: "runs a command",
    run,
};

fn run(call: &mut Call<'_>, fields: &Object<'_>) -> Result<Option<Answer>, Refusal> {
    let os = read(fields)?;
    let permit = call.policy.commands.permit(call.caller, &call.settings.commands, &os)?;
    if os.explain {
        return Ok(Some(result(&permit)));
    }
    if permit.confirm && !os.confirmed {
        return Err(Refusal::Unconfirmed(os.name));
    }
    let mut audit = audit::who(call.origin, Some(call.caller), &call.policy.authority);
    audit.push(("command", os.name.clone().into()));
    audit.push(("argv", Field::List(permit.shown.clone())));
    if let Some(user) = &permit.execution.user {
        audit.push(("user", user.clone().into()));
    }
    let order = Order {
        origin: call.origin.clone(),
        subject: call.caller.subject().clone(),
        command: os.name,
        permit,
        stream: os.stream,
        accepted: *call.now,
        token: call.token.to_owned(),
        audit: audit.clone(),
    };
    call.jobs.open(call.now.uptime, order)?;
    call.out.push(audit::line(Level::Info, "command_accepted", audit));
    Ok(None)
}

fn read(fields: &Object<'_>) -> Result<Os, Wrong> {
    let name = text(fields, "command_name", limits::NAME_BYTES_MAX)?.into_owned();
    let mut os = Os { name, ..Os::default() };
    if let Some(json) = fields.get("parameters") {
        os.parameters = values(json)?;
    }
    os.stdin = stdin(fields)?;
    if let Some(json) = fields.get("timeout_ms") {
        let milliseconds: u32 = named("timeout_ms", json.integer())?;
        if milliseconds == 0 {
            return Err(json.fault("timeout_ms: must be at least 1").into());
        }
        os.timeout = Some(Duration::from_millis(milliseconds.into()));
    }
    for (name, flag) in
        [("stream", &mut os.stream), ("explain", &mut os.explain), ("confirmed", &mut os.confirmed)]
    {
        if let Some(json) = fields.get(name) {
            *flag = named(name, json.boolean())?;
        }
    }
    Ok(os)
}

/// Standard input, as text or as base64 (RFC 4648, 4).
fn stdin(fields: &Object<'_>) -> Result<Vec<u8>, Wrong> {
    let bytes_max = limits::STDIN_BYTES_MAX;
    match (fields.get("stdin"), fields.get("stdin_base64")) {
        (Some(_), Some(json)) => Err(json.fault("both stdin and stdin_base64").into()),
        (Some(_), None) => Ok(text(fields, "stdin", bytes_max)?.into_owned().into_bytes()),
        (None, Some(json)) => {
            let text = named("stdin_base64", json.string())?;
            let bytes = STANDARD.decode(text.as_bytes());
            let bytes = bytes.map_err(|_| json.fault("stdin_base64: expected padded base64"))?;
            within(json, "stdin_base64", bytes.len(), bytes_max, "bytes")?;
            Ok(bytes)
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// Reads the values of the parameters: in order, or by name.
fn values(json: Json<'_>) -> Result<Values, Wrong> {
    let mut values = Values::default();
    if json.kind() != Kind::Object {
        values.ordered = texts("parameters", json)?;
    } else {
        for (name, json) in named("parameters", json.object())?.members() {
            let path = format!("parameters.{}", echo(name));
            let own = match json.kind() {
                Kind::String => vec![one(&path, json)?],
                _ => texts(&path, json)?,
            };
            match name {
                "" => values.ordered = own,
                name => drop(values.named.insert(name.to_owned(), own)),
            }
        }
    }
    let count = values.ordered.len() + values.named.values().map(Vec::len).sum::<usize>();
    let count = count.max(values.named.len());
    within(json, "parameters", count, limits::PARAMETERS_MAX, "values")?;
    Ok(values)
}

fn texts(path: &str, json: Json<'_>) -> Result<Vec<String>, Wrong> {
    let values = named(path, json.array())?;
    within(json, path, values.len(), limits::PARAMETERS_MAX, "values")?;
    let values = values.into_iter().enumerate();
    values.map(|(index, value)| one(&format!("{path}[{index}]"), value)).collect()
}

fn one(path: &str, json: Json<'_>) -> Result<String, Wrong> {
    let text = named(path, json.string())?;
    within(json, path, text.len(), limits::PARAMETER_BYTES_MAX, "bytes")?;
    Ok(text.into_owned())
}
