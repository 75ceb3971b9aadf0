//! How replies leave: through the outbox, each against the bounds of whoever asked.
//!
//! Promises: a piece of a stream that is lost is told in the last reply of its command; a last
//! reply that is lost is counted.
//! Leaves out: what waits, and how long, which is the outbox's.

use std::sync::Arc;

use crate::limits;
use crate::port::{Action, JobId, Level, Moment, Outgoing, Peer, Stream, Unsent};
use crate::protocol::reply::{Answer, Reply};
use crate::service::Service;
use crate::service::audit;
use crate::service::caller::Caller;
use crate::service::jobs::Origin;
use crate::service::outbox::{self, Lost};
use crate::service::rules::Rules;
use crate::service::settings::Settings;

/// Bytes of replies that may wait in the socket, with these rules.
pub(super) fn room_for(rules: &Rules, settings: &Settings) -> usize {
    outbox::room_for(rules.commands.output_bytes_max(&settings.commands))
}

/// Bytes of replies that may wait in the outbox: in one turn, all commands may pass on what two
/// pipes hold, which has to find room there before it is sent.
pub(super) fn outbox_room_for(rules: &Rules, settings: &Settings) -> usize {
    let pieces = settings.commands.concurrent_max * 2 * limits::PIPE_BYTES_PER_TURN;
    room_for(rules, settings).saturating_add(pieces)
}

impl Service {
    pub(super) fn output(
        &mut self,
        job: JobId,
        stream: Stream,
        bytes: &[u8],
        out: &mut Vec<Action>,
    ) {
        self.counters.bytes_written += bytes.len() as u64;
        let Some((origin, bytes)) = self.jobs.write(job, stream, bytes) else { return };
        let (peer, account) = (origin.peer.clone(), origin.account.clone());
        if self.outbox.waits_for(&peer) {
            out.push(Action::Pause(job));
        }
        let reply = Reply { id: origin.id.clone(), answer: Answer::Output { stream, bytes } };
        if self.send(peer, account, &reply, out).is_err() {
            self.jobs.lose_output(job);
        }
    }

    pub(super) fn unsent(
        &mut self,
        now: &Moment,
        reply: Outgoing,
        reason: Unsent,
        out: &mut Vec<Action>,
    ) {
        let id = reply.peer.envelope.first();
        let lost = match reason {
            Unsent::Gone => {
                self.outbox.forget(&reply.peer);
                let closed = self.jobs.abandon(now.uptime, id, out);
                self.close_all(closed, out);
                true
            }
            Unsent::WouldBlock => {
                out.extend(self.jobs.streams_to(id).map(Action::Pause));
                self.outbox.put_back(now.uptime, reply).is_err()
            }
        };
        self.counters.replies_lost += u64::from(lost);
    }

    /// The one way out for the last reply to a request.
    pub(super) fn reply(
        &mut self,
        origin: Origin,
        caller: Option<&Caller>,
        answer: Answer,
        out: &mut Vec<Action>,
    ) {
        let outcome = match &answer {
            Answer::Error(error) => error.code.name(),
            _ => "ok",
        };
        self.counters.request(origin.kind, outcome);
        if self.settings.log.level == Level::Debug {
            let mut fields = audit::who(&origin, caller, &self.rules);
            fields.push(("request", origin.kind.into()));
            fields.push(("outcome", outcome.into()));
            out.push(audit::line(Level::Debug, "request", fields));
        }
        // One that does not fit is counted; its peer has not read for long.
        let Origin { peer, id, account, .. } = origin;
        let _ = self.send(peer, account, &Reply { id, answer }, out);
    }

    fn send(
        &mut self,
        peer: Peer,
        account: Option<Arc<str>>,
        reply: &Reply,
        out: &mut Vec<Action>,
    ) -> Result<(), Lost> {
        let body = reply.encode();
        self.counters.bytes_sent += body.len() as u64;
        let piece = matches!(reply.answer, Answer::Output { .. });
        let sent = self.outbox.send(Outgoing { peer, body, account, piece }, out);
        self.counters.replies_lost += u64::from(sent.is_err());
        sent
    }
}
