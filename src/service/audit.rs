//! Log lines: the fields that many events share.
//!
//! Promises: the cause of an event is described by all known fields, always under the same names.
//! Leaves out: the events, which are logged where they are decided.

use std::net::IpAddr;

use crate::port::{Action, Field, Level, Peer, Record};
use crate::protocol::request::Id;
use crate::service::access::authority::Authority;
use crate::service::access::caller::Caller;
use crate::service::counters::CommandCounts;
use crate::service::origin::Origin;

/// The fields of a log line, in order.
pub(super) type Fields = Vec<(&'static str, Field)>;

/// The caller and the request: the first fields of every line about a request.
pub(super) fn who(origin: &Origin, caller: Option<&Caller>, authority: &Authority) -> Fields {
    let mut fields = Vec::new();
    if let Some(caller) = caller {
        fields.extend(caller.subject().issuer().map(|issuer| ("issuer", issuer.into())));
        fields.push(("subject", caller.subject().name().into()));
        fields.extend(caller.token_id().map(|id| ("jti", id.into())));
    }
    let Peer { address, key, .. } = &origin.peer;
    fields.push(("address", name_of(*address)));
    if let (Some(clients), Some(key)) = (&authority.clients, key) {
        let name = clients.find(key).map_or("(removed)", |client| &client.name);
        fields.push(("client", name.into()));
    }
    match &origin.id {
        Some(Id::Text(text)) => fields.push(("id", text.clone().into())),
        Some(Id::Number(number)) => fields.push(("id", Field::Number(*number))),
        None => {}
    }
    fields
}

/// The action that writes a line.
pub(super) fn line(level: Level, event: &'static str, fields: Fields) -> Action {
    Action::Log(Record { level, event, fields })
}

/// The action that writes a line with the numbers of running and waiting commands.
pub(super) fn counts(level: Level, event: &'static str, counts: CommandCounts) -> Action {
    let count = |n: usize| Field::Number(n as i128);
    line(level, event, vec![("running", count(counts.running)), ("waiting", count(counts.waiting))])
}

/// An address in the format of the log.
pub(super) fn name_of(address: Option<IpAddr>) -> Field {
    address.map_or("local".into(), |address| address.to_string().into())
}
