//! Every decision of the daemon: events in, actions and replies out.
//!
//! Promises: pure. Time is an argument, processes are actions and events, random numbers do not
//! occur; the same events at the same moments give the same actions. Each message is answered
//! exactly once, besides the `output` messages of a stream. Each step consumes what the last one
//! made: bytes → envelope → `Caller` → operation → `Action`. `Service` routes events between its
//! parts, each of which stands alone: `access`, `commands`, `jobs`, `operations`, `send_queue`.
//! Leaves out: the machine. Nothing here reads a clock, a file or the environment, opens a socket,
//! starts a process or a thread, or prints.

pub mod access;
mod audit;
pub mod commands;
pub mod counters;
pub mod jobs;
pub mod maths;
pub mod operations;
pub mod origin;
pub mod policy;
pub mod refusal;
pub mod send_queue;
pub mod settings;
pub mod watchers;

use std::net::IpAddr;
use std::time::Duration;

use crate::limits;
use crate::port::{Action, Event, Handshake, JobId, Level, LogState, Moment, Outgoing, Peer};
use crate::port::{Stream, Unsent, Verdict};
use crate::protocol::envelope::Envelope;
use crate::protocol::reply::{Answer, Reply};
use access::Access;
use access::caller::Caller;
use access::log_budget::Network;
use access::opened::OpenedTokens;
use audit::name_of;
use counters::Counters;
use jobs::drain::Drain;
use jobs::{Closed, Jobs, Order};
use operations::{Call, View};
use origin::Origin;
use policy::Policy;
use refusal::Refusal;
use send_queue::{Lost, Next, SendQueue};
use settings::Settings;
use watchers::Watchers;

/// The daemon without the machine.
#[derive(Debug)]
pub struct Service {
    settings: Settings,
    policy: Policy,
    access: Access,
    jobs: Jobs,
    queue: SendQueue,
    watchers: Watchers,
    counters: Counters,
    log: LogState,
    /// The request that is being handled and has no answer yet.
    serving: Option<Origin>,
    /// The identifier that the first command opened by this event gets.
    first_job: JobId,
    /// The state of the drain, after a request to stop.
    draining: Option<Drain>,
}

impl Service {
    /// A daemon without any request yet.
    pub fn new(settings: Settings, policy: Policy) -> Self {
        let output_bytes_max = policy.commands.output_bytes_max(&settings.commands);
        Self {
            access: Access::new(settings.rate),
            jobs: Jobs::new(settings.commands),
            queue: SendQueue::new(send_queue::room_for(&settings.commands, output_bytes_max)),
            watchers: Watchers::default(),
            counters: Counters::default(),
            log: LogState::default(),
            serving: None,
            first_job: JobId(0),
            draining: None,
            settings,
            policy,
        }
    }

    /// What the files say.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Replaces the policy. Commands whose caller is no longer authorized end; the others continue
    /// as they were permitted. Each token is checked as of the time of its acceptance, since a
    /// command may outlast its token.
    pub fn replace(&mut self, now: &Moment, policy: Policy, out: &mut Vec<Action>) {
        self.policy = policy;
        self.access.tokens = OpenedTokens::default();
        self.counters.reloads += 1;
        let output_bytes_max = self.policy.commands.output_bytes_max(&self.settings.commands);
        self.queue.resize(send_queue::room_for(&self.settings.commands, output_bytes_max));
        let authority = &self.policy.authority;
        let why = |order: &Order| {
            let key = order.origin.peer.key.as_deref();
            let known = &mut OpenedTokens::default();
            authority.identify(known, key, &order.token, &order.accepted).err()
        };
        let closed = self.jobs.expel(now.uptime, why, out);
        self.close_all(closed, out);
        self.watchers.hurry();
    }

    /// Counts a reload that was refused because the files have errors; the policy stays.
    pub fn keep(&mut self) {
        self.counters.reloads_refused += 1;
    }

    /// Takes the state of the log, after the lines of a turn and before the `tick` that starts
    /// commands.
    pub fn see_log(&mut self, log: LogState) {
        self.log = log;
    }

    /// Bytes of replies that may wait in the socket.
    pub fn reply_room(&self) -> usize {
        let output_bytes_max = self.policy.commands.output_bytes_max(&self.settings.commands);
        send_queue::socket_room_for(output_bytes_max)
    }

    /// Whether the daemon drains.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether every request has its reply and the daemon may end. The end of the drain does not
    /// wait for peers that do not read.
    pub fn is_drained(&self) -> bool {
        let Some(drain) = self.draining else { return false };
        self.jobs.is_empty() && (self.queue.is_empty() || drain.is_over())
    }

    /// Handles one event.
    pub fn handle(&mut self, now: &Moment, event: Event, out: &mut Vec<Action>) {
        (self.serving, self.first_job) = (None, self.jobs.next_id());
        match event {
            Event::Handshake(handshake) => self.handshake(now, handshake, out),
            Event::HandshakeFailed { address } => {
                self.turn_away(now, address, None, "no handshake", out);
            }
            Event::Message { peer, body } => self.message(now, peer, &body, out),
            Event::Misframed { peer, fault } => {
                self.serving = Some(Origin::unread(peer));
                self.refuse(now, None, Refusal::Misframed(fault), out);
            }
            Event::Output { job, stream, bytes } => self.output(job, stream, &bytes, out),
            Event::Ended { job, ending, leftover } => {
                let closed = self.jobs.close(now.uptime, job, ending, leftover, out);
                self.close_all(closed, out);
            }
            Event::Gone(job) => self.jobs.gone(job),
            Event::Shutdown => self.shut_down(now, out),
        }
    }

    /// Recovers after the last call of `handle` or `tick` panicked at this place of the source.
    /// Earlier decisions stay. A command that the event opened is closed before it starts. A
    /// request without a reply gets `internal`. Every table stays consistent, since none is in
    /// pieces while a decision is made; a counter may be one too low.
    pub fn recover(&mut self, now: &Moment, at: &str, out: &mut Vec<Action>) {
        let opened = self.jobs.close_since(self.first_job, now.uptime, at);
        if opened.is_empty() {
            self.refuse(now, None, Refusal::Internal(at.to_owned()), out);
        } else {
            self.close_all(opened, out);
        }
    }

    /// The time of the next `tick`; none if nothing is due.
    pub fn next_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.jobs.next_deadline(),
            self.queue.next_deadline(),
            self.access.next_deadline(),
            self.watchers.next_deadline(),
            self.draining.and_then(|drain| drain.due()),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Runs everything that is due.
    pub fn tick(&mut self, now: &Moment, out: &mut Vec<Action>) {
        (self.serving, self.first_job) = (None, self.jobs.next_id());
        if self.settings.log.required && !self.log.whole {
            let closed = self.jobs.close_waiting(now.uptime, |_| Some(Refusal::Unlogged));
            self.close_all(closed, out);
        }
        let closed = self.jobs.tick(now.uptime, out);
        self.close_all(closed, out);
        self.queue.begin_turn(now.uptime);
        self.tell_watchers(now, out);
        for (event, address, count) in self.access.summaries(now.uptime) {
            let fields = vec![("address", address.into()), ("count", count.into())];
            out.push(audit::line(Level::Warn, event, fields));
        }
        if let Some(drain) = &mut self.draining {
            let closed = drain.tick(now.uptime, &mut self.jobs, out);
            self.close_all(closed, out);
        }
    }

    /// The next reply to send; none if all are sent or wait for their peers. The loop calls this
    /// after each `tick` until it returns none, and calls `unsent` for each reply that was not
    /// sent.
    pub fn next_reply(&mut self, out: &mut Vec<Action>) -> Option<Outgoing> {
        loop {
            match self.queue.pop()? {
                Next::Send(reply) => return Some(reply),
                Next::CaughtUp(id) => {
                    out.extend(self.jobs.streams_to(Some(&id)).map(Action::Resume));
                }
                Next::Lost => self.counters.replies_lost += 1,
            }
        }
    }

    /// Takes back the last reply of `next_reply`, which was not sent.
    pub fn unsent(&mut self, now: &Moment, reply: Outgoing, why: Unsent, out: &mut Vec<Action>) {
        let id = reply.peer.envelope.first();
        let lost = match why {
            Unsent::Gone => {
                let forgotten = self.queue.forget(&reply.peer);
                let closed = self.jobs.abandon(now.uptime, id, out);
                self.watchers.abandon(id);
                self.close_all(closed, out);
                forgotten + 1
            }
            Unsent::WouldBlock => {
                out.extend(self.jobs.streams_to(id).map(Action::Pause));
                usize::from(self.queue.put_back(now.uptime, reply).is_err())
            }
        };
        self.counters.replies_lost += lost as u64;
    }

    fn handshake(&mut self, now: &Moment, handshake: Handshake, out: &mut Vec<Action>) {
        let clients = self.policy.authority.clients.as_ref();
        let (verdict, why) = self.access.judge(clients, &handshake, now.uptime);
        if verdict != Verdict::Admitted {
            self.turn_away(now, handshake.address, handshake.key.clone(), why, out);
        }
        out.push(Action::Judge(handshake, verdict));
    }

    fn turn_away(
        &mut self,
        now: &Moment,
        address: Option<IpAddr>,
        key: Option<String>,
        why: &str,
        out: &mut Vec<Action>,
    ) {
        self.counters.turned_away += 1;
        if self.access.turned_away.gets_a_line(Network::of(address), now.uptime) {
            let mut fields = vec![("address", name_of(address)), ("reason", why.into())];
            fields.extend(key.map(|key| ("key", key.into())));
            out.push(audit::line(Level::Warn, "turned_away", fields));
        }
    }

    fn message(&mut self, now: &Moment, peer: Peer, body: &[u8], out: &mut Vec<Action>) {
        self.counters.bytes_received += body.len() as u64;
        let origin = self.serving.insert(Origin::unread(peer));
        let envelope = match Envelope::read(body) {
            Ok(envelope) => envelope,
            Err((id, fault)) => {
                origin.id = id;
                return self.refuse(now, None, Refusal::Malformed(fault), out);
            }
        };
        origin.id.clone_from(&envelope.id);
        let operation = match operations::find(&envelope, &mut origin.kind) {
            Ok(operation) => operation,
            Err(fault) => return self.refuse(now, None, Refusal::Malformed(fault), out),
        };
        let key = origin.peer.key.as_deref();
        let known = &mut self.access.tokens;
        let caller = match self.policy.authority.identify(known, key, &envelope.token, now) {
            Ok(caller) => caller,
            Err(why) => {
                self.counters.token(why.0);
                return self.refuse(now, None, Refusal::Unauthorized(why), out);
            }
        };
        origin.subject = Some(caller.subject().clone());
        let mut call = Call {
            now,
            caller: &caller,
            token: &envelope.token,
            origin,
            policy: &self.policy,
            settings: &self.settings,
            jobs: &mut self.jobs,
            watchers: &mut self.watchers,
            counters: &self.counters,
            log: &self.log,
            callers: &mut self.access.callers,
            draining: self.draining.is_some(),
            closed: Vec::new(),
            unwatched: Vec::new(),
            out,
        };
        let done = call.run(operation, &envelope.fields);
        let (closed, unwatched, origin) = (call.closed, call.unwatched, self.serving.take());
        self.close_all(closed, out);
        self.unwatch(unwatched, || Refusal::Unwatched, out);
        self.serving = origin;
        match done {
            Ok(Some(answer)) => self.reply(Some(&caller), answer, out),
            Ok(None) => self.serving = None, // The job or the watcher will answer.
            Err(refusal) => self.refuse(now, Some(&caller), refusal, out),
        }
    }

    /// Logs the ends of commands and replies to their callers.
    fn close_all(&mut self, closed: impl IntoIterator<Item = Closed>, out: &mut Vec<Action>) {
        for closed in closed {
            self.serving = Some(closed.order.origin.clone());
            self.counters.duration(closed.duration);
            let (fields, answer) = closed.report();
            out.push(audit::line(Level::Info, "command_ended", fields));
            self.reply(None, answer, out);
        }
    }

    /// Streams the output of a command, if its caller asked for that.
    fn output(&mut self, job: JobId, stream: Stream, bytes: &[u8], out: &mut Vec<Action>) {
        self.counters.bytes_written += bytes.len() as u64;
        let Some((origin, bytes)) = self.jobs.write(job, stream, bytes) else { return };
        let origin = origin.clone();
        if self.queue.waits_for(&origin.peer) {
            out.push(Action::Pause(job));
        }
        if self.send(origin, Answer::Output { stream, bytes }).is_err() {
            self.jobs.lose_output(job);
        }
    }

    /// Tells the watchers that are due. One whose peer does not read is passed over.
    fn tell_watchers(&mut self, now: &Moment, out: &mut Vec<Action>) {
        for _ in 0..limits::WATCHERS_MAX {
            let view = View {
                now,
                policy: &self.policy,
                settings: &self.settings,
                jobs: &self.jobs,
                counters: &self.counters,
                log: &self.log,
            };
            let (watchers, known) = (&mut self.watchers, &mut self.access.tokens);
            let reads = |peer: &Peer| !self.queue.waits_for(peer);
            let frame = operations::next_frame(&view, watchers, known, reads);
            let Some((origin, frame)) = frame else { return };
            match frame {
                // A lost frame is counted; the next one tells the same and more.
                Ok(answer) => drop(self.send(origin, answer)),
                Err(refusal) => {
                    self.serving = Some(origin);
                    self.refuse(now, None, refusal, out);
                }
            }
        }
    }

    /// Sends the last reply to watchers that were taken out.
    fn unwatch(&mut self, origins: Vec<Origin>, why: impl Fn() -> Refusal, out: &mut Vec<Action>) {
        for origin in origins {
            self.serving = Some(origin);
            self.reply(None, Answer::Error(why().into_error(false)), out);
        }
    }

    fn shut_down(&mut self, now: &Moment, out: &mut Vec<Action>) {
        if self.draining.is_none() {
            out.push(audit::counts(Level::Info, "draining", self.jobs.counts()));
            self.draining = Some(Drain::begin(now.uptime, self.settings.shutdown_grace));
            let closed = self.jobs.close_waiting(now.uptime, |_| Some(Refusal::ShuttingDown));
            self.close_all(closed, out);
            let unwatched = self.watchers.close();
            self.unwatch(unwatched, || Refusal::ShuttingDown, out);
        }
    }

    /// Refuses the current request with a reason.
    fn refuse(
        &mut self,
        now: &Moment,
        caller: Option<&Caller>,
        refusal: Refusal,
        out: &mut Vec<Action>,
    ) {
        let Some(origin) = &self.serving else { return };
        // Every refusal of a caller within its limits is logged; of all others, a number of lines a
        // minute, since they could fill the log.
        let bounded = matches!(refusal, Refusal::RateLimited(_)) || caller.is_none();
        let network = Network::of(origin.peer.address);
        if !bounded || self.access.refused.gets_a_line(network, now.uptime) {
            let mut fields = audit::who(origin, caller, &self.policy.authority);
            fields.push(("request", origin.kind.into()));
            fields.push(("code", refusal.code().name().into()));
            fields.push(("reason", refusal.reason().into()));
            let level = match refusal {
                Refusal::Internal(_) => Level::Error,
                // A typing error of a caller does not need the attention of the owner.
                Refusal::BadExpression(_) | Refusal::BadVariable(_) => Level::Info,
                _ => Level::Warn,
            };
            out.push(audit::line(level, "refused", fields));
        }
        let answer = Answer::Error(refusal.into_error(origin.kind == "os"));
        self.reply(caller, answer, out);
    }

    /// Sends the last reply to the current request.
    fn reply(&mut self, caller: Option<&Caller>, answer: Answer, out: &mut Vec<Action>) {
        let Some(origin) = self.serving.take() else { return };
        let outcome = match &answer {
            Answer::Error(error) => error.code.name(),
            _ => "ok",
        };
        self.counters.request(origin.kind, outcome);
        if self.settings.log.level == Level::Debug {
            let mut fields = audit::who(&origin, caller, &self.policy.authority);
            fields.push(("request", origin.kind.into()));
            fields.push(("outcome", outcome.into()));
            out.push(audit::line(Level::Debug, "request", fields));
        }
        // A lost reply is counted; its peer does not read.
        let _ = self.send(origin, answer);
    }

    fn send(&mut self, origin: Origin, answer: Answer) -> Result<(), Lost> {
        let piece = matches!(answer, Answer::Output { .. } | Answer::Event(_));
        let Origin { peer, id, subject, .. } = origin;
        let body = Reply { id, answer }.encode();
        self.counters.bytes_sent += body.len() as u64;
        let sent = self.queue.push(Outgoing { peer, body, subject, piece });
        self.counters.replies_lost += u64::from(sent.is_err());
        sent
    }
}
