//! Every decision of the daemon: from bytes that came to actions that follow.
//!
//! Promises: pure. Time comes in as an argument, processes are actions and events, chance does not
//! occur; the same events at the same moments give the same actions. Each message is answered
//! exactly once, besides the `output` messages of a stream. Each step consumes what the last one
//! made: bytes → `Request` → `Caller` → decision → `Action`.
//! Leaves out: the machine. Nothing here reads a clock, a file or the environment, opens a socket,
//! starts a process or a thread, or prints.

mod arguments;
mod audit;
pub mod caller;
pub mod clients;
pub mod commands;
mod commands_file;
pub mod counters;
pub mod door;
mod drain;
pub mod failures;
mod job;
pub mod jobs;
pub mod limiter;
pub mod maths;
pub mod operations;
pub mod outbox;
pub mod output;
pub mod parameter;
mod parameters_file;
pub mod refusal;
mod replies;
pub mod rules;
pub mod settings;

use std::time::Duration;

use crate::limits;
use crate::port::{Action, Event, Field, JobId, Level, Misframing, Moment, Peer};
use crate::protocol::envelope::Envelope;
use crate::protocol::reply::Answer;
use caller::Caller;
use counters::Counters;
use door::Door;
use drain::Drain;
use failures::{Failures, Network};
use jobs::{Closed, Jobs, Order, Origin};
use limiter::Buckets;
use operations::Call;
use outbox::Outbox;
use refusal::Refusal;
use rules::Rules;
use settings::Settings;

/// The kind of a request whose `command_type` is not known.
const UNREAD: &str = "unread";

/// The daemon, less its machine.
#[derive(Debug)]
pub struct Service {
    settings: Settings,
    rules: Rules,
    limiter: Buckets<caller::Subject>,
    door: Door,
    failures: Failures,
    jobs: Jobs,
    outbox: Outbox,
    counters: Counters,
    /// Whom the event that is being handled is to have a reply for.
    serving: Option<Origin>,
    /// The name of the first command that this event opens, if it opens one.
    first_job: JobId,
    /// Since it was asked to stop: when running commands are ended.
    draining: Option<Drain>,
}

impl Service {
    /// A daemon that has served nobody yet.
    pub fn new(settings: Settings, rules: Rules) -> Self {
        Self {
            limiter: Buckets::new(settings.rate, limits::SUBJECTS_MAX),
            door: Door::new(),
            failures: Failures::new(limits::FAILURE_LINES_PER_MINUTE),
            jobs: Jobs::new(settings.commands),
            outbox: Outbox::new(replies::outbox_room_for(&rules, &settings)),
            counters: Counters::default(),
            serving: None,
            first_job: JobId(0),
            draining: None,
            settings,
            rules,
        }
    }

    /// Puts new rules in the place of the old ones. Commands of callers who would not be let in any
    /// more end; the others go on as they were permitted. Each token is judged as of the time at
    /// which it was accepted, since a command may outlast its token.
    pub fn replace(&mut self, now: &Moment, rules: Rules, out: &mut Vec<Action>) {
        self.rules = rules;
        self.outbox.resize(replies::outbox_room_for(&self.rules, &self.settings));
        self.counters.reloads += 1;
        let (rules, tokens) = (&self.rules, &self.settings.tokens);
        let why = |order: &Order| {
            let key = order.origin.peer.key.as_deref();
            caller::identify(rules, tokens, key, &order.token, &order.accepted).err()
        };
        let closed = self.jobs.expel(now.uptime, why, out);
        self.close_all(closed, out);
    }

    /// Bytes of replies that may wait in the socket.
    pub fn reply_room(&self) -> usize {
        replies::room_for(&self.rules, &self.settings)
    }

    /// Keeps the old rules, since the new ones are not in order.
    pub fn keep(&mut self) {
        self.counters.reloads_refused += 1;
    }

    /// Decides what follows from an event.
    pub fn handle(&mut self, now: &Moment, event: Event, out: &mut Vec<Action>) {
        (self.serving, self.first_job) = (None, self.jobs.next_id());
        match event {
            Event::Handshake(handshake) => self.handshake(now, handshake, out),
            Event::TurnedAway { address } => {
                self.turn_away(now, address, None, "no handshake", out);
            }
            Event::Message { peer, body } => self.message(now, peer, &body, out),
            Event::Misframed { peer, fault } => self.misframed(now, peer, fault, out),
            Event::Output { job, stream, bytes } => self.output(job, stream, &bytes, out),
            Event::Ended { job, ending, leftover } => {
                let closed = self.jobs.close(now.uptime, job, ending, leftover, out);
                self.close_all(closed.into_iter().collect(), out);
            }
            Event::Gone(job) => self.jobs.gone(job),
            Event::Unsent(reply, reason) => self.unsent(now, reply, reason, out),
            Event::Shutdown => self.shut_down(now, out),
        }
    }

    /// Goes on after the last event made `handle` panic, at this place of the source. What had been
    /// decided until then stays; a command that the event opened is closed before it begins; who
    /// was to have a reply is told of the fault. No table is ever out of its place while something
    /// is decided, so each is whole; a count may be one too low.
    pub fn recover(&mut self, now: &Moment, at: &str, out: &mut Vec<Action>) {
        let origin = self.serving.take();
        let opened = self.jobs.close_since(self.first_job, now.uptime, at);
        match (origin, opened.is_empty()) {
            (Some(origin), true) => {
                self.refuse(now, origin, None, Refusal::Internal(at.to_owned()), out);
            }
            _ => self.close_all(opened, out),
        }
    }

    /// When `tick` has something to do; never, if nothing is going on.
    pub fn next_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.jobs.next_deadline(),
            self.outbox.next_deadline(),
            self.failures.next_deadline(),
            self.door.strangers.next_deadline(),
            self.draining.and_then(|drain| drain.due),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: &Moment, out: &mut Vec<Action>) {
        let closed = self.jobs.tick(now.uptime, out);
        self.close_all(closed, out);
        for routing_id in self.outbox.tick(now.uptime, out) {
            out.extend(self.jobs.streams_to(Some(&routing_id)).map(Action::Resume));
        }
        let failures = self.failures.summaries(now.uptime).into_iter();
        let strangers = self.door.strangers.summaries(now.uptime).into_iter();
        let summaries = failures
            .map(|summary| ("refused_without_line", summary))
            .chain(strangers.map(|summary| ("turned_away_without_line", summary)));
        for (event, (network, count)) in summaries {
            let network = network.map_or("elsewhere".to_owned(), |network| network.to_string());
            let fields = vec![("address", network.into()), ("count", count.into())];
            out.push(audit::line(Level::Warn, event, fields));
        }
        self.drain(now, out);
    }

    fn message(&mut self, now: &Moment, peer: Peer, body: &[u8], out: &mut Vec<Action>) {
        self.counters.bytes_received += body.len() as u64;
        let unread = Origin { peer, id: None, kind: UNREAD, account: None };
        self.serving = Some(unread.clone());
        let envelope = match Envelope::read(body) {
            Ok(envelope) => envelope,
            Err((id, fault)) => {
                let origin = Origin { id, ..unread };
                return self.refuse(now, origin, None, Refusal::Malformed(fault), out);
            }
        };
        let kind = operations::named(&envelope.kind).map_or(UNREAD, |operation| operation.name);
        let mut origin = Origin { id: envelope.id.clone(), kind, ..unread };
        self.serving = Some(origin.clone());
        let operation = match operations::find(&envelope) {
            Ok(operation) => operation,
            Err(fault) => return self.refuse(now, origin, None, Refusal::Malformed(fault), out),
        };
        let rules = &self.settings.tokens;
        let key = origin.peer.key.as_deref();
        let caller = match caller::identify(&self.rules, rules, key, &envelope.token, now) {
            Ok(caller) => caller,
            Err(why) => {
                self.counters.token(why.0);
                return self.refuse(now, origin, None, Refusal::Unauthorized(why), out);
            }
        };
        origin.account = Some(caller.subject().account());
        let mut call = Call {
            now,
            caller: &caller,
            token: &envelope.token,
            origin: &origin,
            rules: &self.rules,
            settings: &self.settings,
            jobs: &mut self.jobs,
            counters: &self.counters,
            limiter: &mut self.limiter,
            draining: self.draining.is_some(),
            closed: Vec::new(),
            out,
        };
        let done = call.run(operation, &envelope.fields);
        let closed = call.closed;
        self.close_all(closed, out);
        match done {
            Ok(Some(answer)) => self.reply(origin, Some(&caller), answer, out),
            Ok(None) => {} // A job has been opened, and will answer.
            Err(refusal) => self.refuse(now, origin, Some(&caller), refusal, out),
        }
    }

    fn misframed(&mut self, now: &Moment, peer: Peer, fault: Misframing, out: &mut Vec<Action>) {
        let origin = Origin { peer, id: None, kind: UNREAD, account: None };
        self.refuse(now, origin, None, Refusal::Misframed(fault), out);
    }

    /// Tells the callers, and the log, how their commands ended.
    fn close_all(&mut self, closed: Vec<Closed>, out: &mut Vec<Action>) {
        for Closed { order, outcome, duration, written: [stdout, stderr] } in closed {
            self.serving = Some(order.origin.clone());
            self.counters.duration(duration);
            let mut fields = order.audit;
            let ran = match &outcome {
                Ok(ran) | Err(Refusal::TimedOut(Some(ran)) | Refusal::Cancelled(Some(ran))) => {
                    Some(ran)
                }
                Err(Refusal::Expelled(_, ran)) => Some(ran.as_ref()),
                Err(_) => None,
            };
            let name = outcome.as_ref().map_or_else(|refusal| refusal.code().name(), |_| "ok");
            fields.push(("outcome", name.into()));
            if let Err(refusal) = &outcome {
                fields.push(("reason", refusal.reason().into()));
            }
            match ran.map(|ran| &ran.end) {
                Some(Ok(code)) => fields.push(("exit_code", Field::Number((*code).into()))),
                Some(Err(signal)) => fields.push(("signal", signal.clone().into())),
                None => {}
            }
            let duration = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            fields.push(("duration_ms", duration.into()));
            fields.push(("stdout_bytes", stdout.into()));
            fields.push(("stderr_bytes", stderr.into()));
            out.push(audit::line(Level::Info, "command_ended", fields));
            let answer = match outcome {
                Ok(ran) => Answer::Ran(ran),
                Err(refusal) => Answer::Error(refusal.into_error(true)),
            };
            self.reply(order.origin, None, answer, out);
        }
    }

    /// The one way out for everything that is not done.
    fn refuse(
        &mut self,
        now: &Moment,
        origin: Origin,
        caller: Option<&Caller>,
        refusal: Refusal,
        out: &mut Vec<Action>,
    ) {
        // Whoever is known and within limits has every refusal written down; the others, who could
        // go on for ever, have so many lines a minute.
        let bounded = matches!(refusal, Refusal::RateLimited(_)) || caller.is_none();
        let network = Network::of(origin.peer.address);
        if !bounded || self.failures.gets_a_line(network, now.uptime) {
            let mut fields = audit::who(&origin, caller, &self.rules);
            fields.push(("request", origin.kind.into()));
            fields.push(("code", refusal.code().name().into()));
            fields.push(("reason", refusal.reason().into()));
            let is_fault = matches!(refusal, Refusal::Internal(_));
            let level = if is_fault { Level::Error } else { Level::Warn };
            out.push(audit::line(level, "refused", fields));
        }
        let answer = Answer::Error(refusal.into_error(origin.kind == "os"));
        self.reply(origin, caller, answer, out);
    }
}
