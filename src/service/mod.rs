//! Every decision of the daemon: from bytes that came to actions that follow.
//!
//! Promises: pure. Time comes in as an argument, processes are actions and events, chance does not
//! occur; the same events at the same moments give the same actions. Each message is answered
//! exactly once, besides the `output` messages of a stream. Each step consumes what the last one
//! made: bytes → `Request` → `Caller` → decision → `Action`.
//! Leaves out: the machine. Nothing here reads a clock, a file or the environment, opens a socket,
//! starts a process or a thread, or prints.

mod audit;
pub mod caller;
pub mod clients;
pub mod commands;
mod commands_file;
pub mod counters;
pub mod door;
pub mod failures;
pub mod jobs;
pub mod limiter;
pub mod maths;
pub mod outbox;
pub mod output;
pub mod parameter;
pub mod refusal;
pub mod rules;
pub mod settings;

use std::time::Duration;

use crate::limits;
use crate::port::{Action, Event, Field, JobId, Level, Misframing, Moment, Peer};
use crate::port::{Stream, Unsent};
use crate::protocol::reply::{Answer, Reply};
use crate::protocol::request::{Ask, Os, Request, Undecoded};
use crate::protocol::{Members, encode};
use caller::{Caller, Scope};
use counters::{Counters, Ping, Status};
use door::Door;
use failures::{Failures, Network};
use jobs::{Closed, Jobs, Order, Origin};
use limiter::Buckets;
use maths::Value;
use outbox::{Lost, Outbox};
use refusal::Refusal;
use rules::Rules;
use settings::Settings;

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
    /// Since it was asked to stop: when running commands are ended.
    draining: Option<Drain>,
}

/// How far the daemon is with ending.
#[derive(Clone, Copy, Debug)]
struct Drain {
    stage: Stage,
    /// When the next stage begins.
    due: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Commands may go on.
    Grace,
    /// Commands have been asked to end.
    End,
    /// All that are still there have been killed.
    Killed,
    /// No command is there, and replies have a little time.
    Farewell,
    /// Whoever has not taken its replies will not be waited for.
    Leave,
}

impl Service {
    /// A daemon that has served nobody yet.
    pub fn new(settings: Settings, rules: Rules) -> Self {
        Self {
            limiter: Buckets::new(settings.rate, limits::SUBJECTS_MAX),
            door: Door::new(),
            failures: Failures::new(limits::FAILURE_LINES_PER_MINUTE),
            jobs: Jobs::new(settings.commands),
            outbox: Outbox::default(),
            counters: Counters::default(),
            draining: None,
            settings,
            rules,
        }
    }

    /// Puts new rules in the place of the old ones. What was permitted before goes on.
    pub fn replace(&mut self, rules: Rules) {
        self.rules = rules;
        self.counters.reloads += 1;
    }

    /// Keeps the old rules, since the new ones are not in order.
    pub fn keep(&mut self) {
        self.counters.reloads_refused += 1;
    }

    /// Whether it was asked to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether all is answered and the daemon may end. Whoever has not taken its reply by the time
    /// that commands are ended will not be waited for.
    pub fn is_drained(&self) -> bool {
        let Some(Drain { stage, .. }) = self.draining else { return false };
        self.jobs.is_empty() && (self.outbox.is_empty() || stage == Stage::Leave)
    }

    /// Decides what follows from an event.
    pub fn handle(&mut self, now: &Moment, event: Event, out: &mut Vec<Action>) {
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
            Event::Gone(job) => self.jobs.gone(now.uptime, job, out),
            Event::Unsent { peer, body, reason } => self.unsent(now, peer, body, reason, out),
            Event::Shutdown => self.shut_down(now, out),
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
        self.jobs.tick(now.uptime, out);
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
            self.log(Level::Warn, event, fields, out);
        }
        self.drain(now, out);
    }

    /// Goes on with ending: commands may run for the grace, then they are ended, and those that
    /// cannot be are left; then whoever does not take its replies is waited for a little longer.
    fn drain(&mut self, now: &Moment, out: &mut Vec<Action>) {
        let Some(mut drain) = self.draining else { return };
        let is_due = drain.due.is_some_and(|due| now.uptime >= due);
        let until = |time| Some(now.uptime.saturating_add(time));
        match drain.stage {
            Stage::Grace if is_due => {
                drain = Drain { stage: Stage::End, due: None };
                self.jobs.stop_running(now.uptime, |_| true, out);
            }
            Stage::Killed if is_due => self.give_up(now, out),
            Stage::Farewell if is_due => drain = Drain { stage: Stage::Leave, due: None },
            _ => {}
        }
        if self.jobs.is_empty() && matches!(drain.stage, Stage::End | Stage::Killed) {
            drain = Drain { stage: Stage::Farewell, due: until(limits::FAREWELL) };
        } else if drain.stage == Stage::End && self.jobs.next_deadline().is_none() {
            drain = Drain { stage: Stage::Killed, due: until(limits::AFTER_KILL) };
        }
        self.draining = Some(drain);
    }

    /// Leaves the commands that SIGKILL has not ended, says which, and answers for them: none of
    /// them does anything any more.
    fn give_up(&mut self, now: &Moment, out: &mut Vec<Action>) {
        let (closed, names) = self.jobs.give_up(now.uptime);
        let fields = vec![("commands", Field::List(names))];
        self.log(Level::Error, "left_running", fields, out);
        self.close_all(closed, out);
    }

    fn message(&mut self, now: &Moment, peer: Peer, body: &[u8], out: &mut Vec<Action>) {
        self.counters.bytes_received += body.len() as u64;
        let request = match Request::decode(body) {
            Ok(request) => request,
            Err(Undecoded { id, os, fault, too_large }) => {
                let origin = Origin { peer, id, kind: if os { "os" } else { "unread" } };
                let refusal = match too_large {
                    true => Refusal::TooLarge(fault),
                    false => Refusal::Malformed(fault),
                };
                return self.refuse(now, origin, None, refusal, out);
            }
        };
        let origin = Origin { peer, id: request.id, kind: request.ask.kind() };
        let rules = &self.settings.tokens;
        let key = origin.peer.key.as_deref();
        let caller = match caller::identify(&self.rules, rules, key, &request.token, now) {
            Ok(caller) => caller,
            Err(why) => {
                self.counters.token(why.0);
                return self.refuse(now, origin, None, Refusal::Unauthorized(why), out);
            }
        };
        match self.decide(now, &caller, &origin, request.ask, out) {
            Ok(Some(answer)) => self.reply(origin, answer, out),
            Ok(None) => {} // A job has been opened, and will answer.
            Err(refusal) => self.refuse(now, origin, Some(&caller), refusal, out),
        }
    }

    /// Does what a caller asks for, or opens a job that will.
    fn decide(
        &mut self,
        now: &Moment,
        caller: &Caller,
        origin: &Origin,
        ask: Ask,
        out: &mut Vec<Action>,
    ) -> Result<Option<Answer>, Refusal> {
        // To stop a command is never refused for its cost: it costs less than the command.
        if let Ask::Cancel { target } = &ask
            && let Some(closed) = self.jobs.cancel(now.uptime, caller.subject(), target, out)
        {
            self.close_all(closed, out);
            return Ok(Some(result(&Members(&[("cancelled", true)]))));
        }
        let taken = self.limiter.take(caller.subject(), now.uptime);
        taken.map_err(Refusal::RateLimited)?;
        if self.draining.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        match ask {
            Ask::Compute { expression, variables } => {
                if !caller.may(Scope::Compute) {
                    return Err(Refusal::Forbidden(Scope::Compute.to_string()));
                }
                compute(&expression, &variables).map(Some)
            }
            Ask::Os(os) => self.open(now, caller, origin.clone(), os, out),
            Ask::List => Ok(Some(result(&self.rules.commands.list(caller)))),
            Ask::Status => self.status(now, caller).map(Some),
            Ask::Ping => Ok(Some(result(&Ping { uptime: now.uptime }))),
            Ask::Cancel { .. } => Err(Refusal::NotFound),
        }
    }

    fn open(
        &mut self,
        now: &Moment,
        caller: &Caller,
        origin: Origin,
        os: Os,
        out: &mut Vec<Action>,
    ) -> Result<Option<Answer>, Refusal> {
        let permit = self.rules.commands.permit(caller, &self.settings.commands, &os)?;
        if os.explain {
            return Ok(Some(result(&permit)));
        }
        let mut audit = self.audit(&origin, Some(caller));
        audit.push(("command", os.name.clone().into()));
        audit.push(("argv", Field::List(permit.shown.clone())));
        if let Some(user) = &permit.invocation.user {
            audit.push(("user", user.clone().into()));
        }
        let order = Order {
            origin,
            subject: caller.subject().clone(),
            command: os.name,
            permit,
            stream: os.stream,
            audit: audit.clone(),
        };
        self.jobs.open(now.uptime, order, out)?;
        self.log(Level::Info, "command_accepted", audit, out);
        Ok(None)
    }

    fn status(&self, now: &Moment, caller: &Caller) -> Result<Answer, Refusal> {
        if !caller.may(Scope::Status) {
            return Err(Refusal::Forbidden(Scope::Status.to_string()));
        }
        let status = Status {
            uptime: now.uptime,
            cleartext: self.settings.cleartext,
            commands: self.jobs.counts(),
            totals: &self.counters,
        };
        Ok(result(&status))
    }

    fn misframed(&mut self, now: &Moment, peer: Peer, fault: Misframing, out: &mut Vec<Action>) {
        let origin = Origin { peer, id: None, kind: "unread" };
        self.refuse(now, origin, None, Refusal::Misframed(fault), out);
    }

    fn output(&mut self, job: JobId, stream: Stream, bytes: &[u8], out: &mut Vec<Action>) {
        self.counters.bytes_written += bytes.len() as u64;
        let Some((origin, bytes)) = self.jobs.write(job, stream, bytes) else { return };
        let peer = origin.peer.clone();
        if self.outbox.waits_for(&peer) {
            out.push(Action::Pause(job));
        }
        let reply = Reply { id: origin.id.clone(), answer: Answer::Output { stream, bytes } };
        if self.send(peer, &reply, out).is_err() {
            self.jobs.lose_output(job);
        }
    }

    /// Tells the callers, and the log, how their commands ended.
    fn close_all(&mut self, closed: Vec<Closed>, out: &mut Vec<Action>) {
        for Closed { order, outcome, duration, written: [stdout, stderr] } in closed {
            self.counters.duration(duration);
            let mut fields = order.audit;
            let ran = match &outcome {
                Ok(ran) | Err(Refusal::TimedOut(Some(ran)) | Refusal::Cancelled(Some(ran))) => {
                    Some(ran)
                }
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
            self.log(Level::Info, "command_ended", fields, out);
            let answer = match outcome {
                Ok(ran) => Answer::Ran(ran),
                Err(refusal) => Answer::Error(refusal.into_error(true)),
            };
            self.reply(order.origin, answer, out);
        }
    }

    fn unsent(
        &mut self,
        now: &Moment,
        peer: Peer,
        body: Vec<u8>,
        reason: Unsent,
        out: &mut Vec<Action>,
    ) {
        let lost = match reason {
            Unsent::Gone => {
                self.outbox.forget(&peer);
                let closed = self.jobs.abandon(now.uptime, peer.envelope.first(), out);
                self.close_all(closed, out);
                true
            }
            Unsent::WouldBlock => {
                out.extend(self.jobs.streams_to(peer.envelope.first()).map(Action::Pause));
                self.outbox.put_back(now.uptime, peer, body).is_err()
            }
        };
        self.counters.replies_lost += u64::from(lost);
    }

    fn shut_down(&mut self, now: &Moment, out: &mut Vec<Action>) {
        if self.draining.is_none() {
            let until = now.uptime.saturating_add(self.settings.shutdown_grace);
            self.draining = Some(Drain { stage: Stage::Grace, due: Some(until) });
            let (running, waiting) = self.jobs.counts();
            let count = |n: usize| Field::Number(n as i128);
            let fields = vec![("running", count(running)), ("waiting", count(waiting))];
            self.log(Level::Info, "draining", fields, out);
            let closed = self.jobs.close_waiting(now.uptime, |_| true, || Refusal::ShuttingDown);
            self.close_all(closed, out);
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
            let mut fields = self.audit(&origin, caller);
            fields.push(("request", origin.kind.into()));
            fields.push(("code", refusal.code().name().into()));
            fields.push(("reason", refusal.reason().into()));
            self.log(Level::Warn, "refused", fields, out);
        }
        let answer = Answer::Error(refusal.into_error(origin.kind == "os"));
        self.reply(origin, answer, out);
    }

    /// The one way out for the last reply to a request.
    fn reply(&mut self, origin: Origin, answer: Answer, out: &mut Vec<Action>) {
        let outcome = match &answer {
            Answer::Error(error) => error.code.name(),
            _ => "ok",
        };
        self.counters.request(origin.kind, outcome);
        // One that does not fit is counted; its peer has not read for long.
        let _ = self.send(origin.peer, &Reply { id: origin.id, answer }, out);
    }

    fn send(&mut self, peer: Peer, reply: &Reply, out: &mut Vec<Action>) -> Result<(), Lost> {
        let body = reply.encode();
        self.counters.bytes_sent += body.len() as u64;
        let last = !matches!(reply.answer, Answer::Output { .. });
        let sent = self.outbox.send(peer, body, last, out);
        self.counters.replies_lost += u64::from(sent.is_err());
        sent
    }
}

fn compute(expression: &str, variables: &[(String, String)]) -> Result<Answer, Refusal> {
    let mut values: Vec<(&str, Value)> = Vec::with_capacity(variables.len());
    for (name, text) in variables {
        maths::check_variable_name(name).map_err(|why| Refusal::BadVariable(why.to_string()))?;
        let value = maths::parse_number(text).ok_or_else(|| {
            Refusal::BadVariable(format!("variable {name}: its number is out of range"))
        })?;
        values.push((name, value));
    }
    let value = maths::evaluate(expression, &values).map_err(Refusal::BadExpression)?;
    Ok(Answer::Result(value.to_string()))
}

fn result(value: &impl serde::Serialize) -> Answer {
    Answer::Result(String::from_utf8_lossy(&encode(value)).into_owned())
}
