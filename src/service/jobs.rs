//! Commands from their permit to their reply: waiting, running, stopping, ended.
//!
//! Promises: every job that is opened is closed exactly once, and whoever asked for it is told how
//! it ended. Waiting is bounded; whoever has fewest commands running comes first, and among those
//! who has waited longest. A command, and what it started, are asked to end (SIGTERM) and, when
//! they have not by the end of the grace, are ended (SIGKILL): at the time limit, on demand, and
//! when the command has ended by itself and left something running. A job counts as running until
//! nothing is left of it; its reply does not wait for that.
//! Leaves out: how processes are started and ended, and what the replies look like.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::port::{Action, Ending, Field, Invocation, JobId, Peer, Stream};
use crate::protocol::reply::Ran;
use crate::protocol::request::Id;
use crate::service::caller::Subject;
use crate::service::commands::Permit;
use crate::service::output::Capture;
use crate::service::refusal::Refusal;
use crate::service::settings::CommandLimits;

/// Whom an answer goes to.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where the request came from.
    pub peer: Peer,
    /// Its `id`.
    pub id: Option<Id>,
    /// Its `command_type`, or `unread`.
    pub kind: &'static str,
}

/// What a job is opened with.
#[derive(Debug)]
pub struct Order {
    /// Whom its answer goes to.
    pub origin: Origin,
    /// Whose it is.
    pub subject: Subject,
    /// The name of the command.
    pub command: String,
    /// What may be run.
    pub permit: Permit,
    /// Whether output is passed on while it runs.
    pub stream: bool,
    /// What both of its lines in the log say.
    pub audit: Vec<(&'static str, Field)>,
}

/// A job that is over.
#[derive(Debug)]
pub struct Closed {
    /// What it was opened with.
    pub order: Order,
    /// How it ended.
    pub outcome: Result<Ran, Refusal>,
    /// From its acceptance to its end.
    pub duration: Duration,
    /// Bytes that it wrote to its two streams.
    pub written: [u64; 2],
}

/// A command that has not begun.
#[derive(Debug)]
struct Waiting {
    order: Order,
    accepted: Duration,
}

/// A command that has begun.
#[derive(Debug)]
struct Running {
    order: Order,
    accepted: Duration,
    started: Duration,
    /// When something is to be done about it: its time limit, or the end of its grace.
    due: Option<Duration>,
    stop: Option<Stop>,
    stdout: Capture,
    stderr: Capture,
    /// Some of its output was not passed on, since nobody took it.
    lost: bool,
}

/// A command that has ended and was answered, and that has left something running.
#[derive(Debug)]
struct Lingering {
    subject: Subject,
    command: String,
    /// When it is killed; none when it has been.
    due: Option<Duration>,
}

/// Why a command is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It is at its time limit.
    TimedOut,
    /// Its caller, or the end of the daemon, asked for it.
    Cancelled,
}

/// All jobs, in the order of their arrival.
#[derive(Debug)]
pub struct Jobs {
    limits: CommandLimits,
    next: u64,
    waiting: BTreeMap<JobId, Waiting>,
    running: BTreeMap<JobId, Running>,
    lingering: BTreeMap<JobId, Lingering>,
}

impl Jobs {
    /// No jobs.
    pub fn new(limits: CommandLimits) -> Self {
        let (waiting, running, lingering) = Default::default();
        Self { limits, next: 0, waiting, running, lingering }
    }

    /// How many are running, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.running.len() + self.lingering.len(), self.waiting.len())
    }

    /// Whether nothing is running, nothing waits and nothing is left.
    pub fn is_empty(&self) -> bool {
        self.counts() == (0, 0)
    }

    /// Opens a job: it starts now, or waits for its turn.
    ///
    /// # Errors
    /// As many wait as may; the earliest time at which one of them must have moved up.
    pub fn open(
        &mut self,
        now: Duration,
        order: Order,
        out: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let may_start = self.has_room() && self.tally().fits(&self.limits, &order);
        // A queue that is full of others still has a place for somebody's first.
        let is_first = !self.waiting.values().any(|job| job.order.subject == order.subject);
        let room = self.limits.queued_max * if is_first { 2 } else { 1 };
        if !may_start && self.waiting.len() >= room {
            return Err(Refusal::Busy(self.next_end(now)));
        }
        self.waiting.insert(JobId(self.next), Waiting { order, accepted: now });
        self.next += 1;
        self.start_next(now, out);
        Ok(())
    }

    /// Takes what a command wrote; gives what is to be passed on, and to whom.
    pub fn write(
        &mut self,
        job: JobId,
        stream: Stream,
        bytes: &[u8],
    ) -> Option<(&Origin, Vec<u8>)> {
        let job = self.running.get_mut(&job)?;
        let capture = match stream {
            Stream::Stdout => &mut job.stdout,
            Stream::Stderr => &mut job.stderr,
        };
        if !job.order.stream {
            capture.write(bytes);
            return None;
        }
        let passed = capture.pass(bytes);
        (!passed.is_empty()).then_some((&job.order.origin, passed))
    }

    /// Some output of a job could not be passed on: its last reply will say so.
    pub fn lose_output(&mut self, job: JobId) {
        if let Some(job) = self.running.get_mut(&job) {
            job.lost = true;
        }
    }

    /// Closes a job that has ended. What it has left running is asked to end; if it has left
    /// nothing, what has waited for its place starts.
    pub fn close(
        &mut self,
        now: Duration,
        id: JobId,
        ending: Ending,
        leftover: bool,
        out: &mut Vec<Action>,
    ) -> Option<Closed> {
        let job = self.running.remove(&id)?;
        if leftover {
            let Order { subject, command, permit, .. } = &job.order;
            let due = match job.stop {
                Some(_) => job.due,
                None => {
                    out.push(Action::Terminate(id));
                    Some(now.saturating_add(permit.grace))
                }
            };
            let (subject, command) = (subject.clone(), command.clone());
            self.lingering.insert(id, Lingering { subject, command, due });
        }
        self.start_next(now, out);
        Some(job.close(now, ending))
    }

    /// Nothing is left of a job.
    pub fn gone(&mut self, now: Duration, id: JobId, out: &mut Vec<Action>) {
        self.lingering.remove(&id);
        self.start_next(now, out);
    }

    /// Stops the jobs of one subject with this `id`. Those that wait are closed at once; none if
    /// there was nothing to stop.
    pub fn cancel(
        &mut self,
        now: Duration,
        subject: &Subject,
        id: &Id,
        out: &mut Vec<Action>,
    ) -> Option<Vec<Closed>> {
        let mine =
            |order: &Order| order.subject == *subject && order.origin.id.as_ref() == Some(id);
        let closed = self.close_waiting(now, mine, || Refusal::Cancelled(None));
        let stopped = self.stop_running(now, mine, out);
        (stopped > 0 || !closed.is_empty()).then_some(closed)
    }

    /// Stops all jobs whose output is passed on to a connection, by its routing id, that is gone.
    pub fn abandon(
        &mut self,
        now: Duration,
        routing_id: Option<&Vec<u8>>,
        out: &mut Vec<Action>,
    ) -> Vec<Closed> {
        let theirs =
            |order: &Order| order.stream && order.origin.peer.envelope.first() == routing_id;
        self.stop_running(now, theirs, out);
        self.close_waiting(now, theirs, || Refusal::Cancelled(None))
    }

    /// Closes the jobs that wait and are meant, with the reason why they will not begin.
    pub fn close_waiting(
        &mut self,
        now: Duration,
        which: impl Fn(&Order) -> bool,
        why: fn() -> Refusal,
    ) -> Vec<Closed> {
        let jobs = std::mem::take(&mut self.waiting);
        let (gone, kept): (BTreeMap<_, _>, _) =
            jobs.into_iter().partition(|(_, job)| which(&job.order));
        self.waiting = kept;
        gone.into_values().map(|job| job.close(now, why())).collect()
    }

    /// Asks the running jobs that are meant to end; tells how many there are.
    pub fn stop_running(
        &mut self,
        now: Duration,
        which: impl Fn(&Order) -> bool,
        out: &mut Vec<Action>,
    ) -> usize {
        let meant = self.running.iter_mut().filter(|(_, job)| which(&job.order));
        meant.map(|(id, job)| job.stop(now, *id, Stop::Cancelled, out)).count()
    }

    /// The running jobs whose output is passed on to the peer of this routing id.
    pub fn streams_to(&self, routing_id: Option<&Vec<u8>>) -> impl Iterator<Item = JobId> {
        let theirs =
            move |order: &Order| order.stream && order.origin.peer.envelope.first() == routing_id;
        self.running.iter().filter(move |(_, job)| theirs(&job.order)).map(|(id, _)| *id)
    }

    /// Closes all jobs that have begun, though they have been killed and are still there; tells
    /// what they are.
    pub fn give_up(&mut self, now: Duration) -> (Vec<Closed>, Vec<String>) {
        let (running, lingering) =
            (std::mem::take(&mut self.running), std::mem::take(&mut self.lingering));
        let names = running.values().map(|job| job.order.command.clone());
        let names = names.chain(lingering.into_values().map(|job| job.command)).collect();
        let killed = || Ending::Signaled("SIGKILL".to_owned());
        (running.into_values().map(|job| job.close(now, killed())).collect(), names)
    }

    /// When the next running command is due to be asked, or made, to end.
    pub fn next_deadline(&self) -> Option<Duration> {
        let lingering = self.lingering.values().filter_map(|job| job.due);
        self.running.values().filter_map(|job| job.due).chain(lingering).min()
    }

    /// Asks and makes to end what is due.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Action>) {
        for (id, job) in &mut self.running {
            if job.due.is_none_or(|due| now < due) {
                continue;
            }
            if job.stop.is_none() {
                job.stop(now, *id, Stop::TimedOut, out);
            } else {
                job.due = None;
                out.push(Action::Kill(*id));
            }
        }
        for (id, job) in &mut self.lingering {
            if job.due.is_some_and(|due| due <= now) {
                job.due = None;
                out.push(Action::Kill(*id));
            }
        }
    }

    fn tally(&self) -> Tally<'_> {
        let mut tally = Tally::default();
        for Running { order, .. } in self.running.values() {
            tally.count(&order.subject, &order.command);
        }
        for Lingering { subject, command, .. } in self.lingering.values() {
            tally.count(subject, command);
        }
        tally
    }

    /// Starts jobs that wait, as long as there is room.
    fn start_next(&mut self, now: Duration, out: &mut Vec<Action>) {
        while self.has_room() {
            let tally = self.tally();
            let fitting =
                self.waiting.iter().filter(|(_, job)| tally.fits(&self.limits, &job.order));
            let next = fitting.min_by_key(|(_, job)| tally.of_subject(&job.order.subject));
            let Some(id) = next.map(|(id, _)| *id) else { return };
            let Some(job) = self.waiting.remove(&id) else { return };
            let (job, invocation) = job.start(now);
            self.running.insert(id, job);
            out.push(Action::Start { job: id, invocation: Box::new(invocation) });
        }
    }

    fn has_room(&self) -> bool {
        self.counts().0 < self.limits.concurrent_max
    }

    /// How long until the first running command must have ended, its grace included.
    fn next_end(&self, now: Duration) -> Duration {
        let end = |job: &Running| {
            let due = job.due.unwrap_or(now);
            if job.stop.is_none() { due.saturating_add(job.order.permit.grace) } else { due }
        };
        let lingering = self.lingering.values().map(|job| job.due.unwrap_or(now));
        let first = self.running.values().map(end).chain(lingering).min().unwrap_or(now);
        // What should be over by now is, soon.
        first.saturating_sub(now).max(Duration::from_millis(100))
    }
}

/// How many commands are running, by whose and by which they are.
#[derive(Default)]
struct Tally<'a> {
    subjects: BTreeMap<&'a Subject, usize>,
    commands: BTreeMap<&'a str, usize>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, subject: &'a Subject, command: &'a str) {
        *self.subjects.entry(subject).or_default() += 1;
        *self.commands.entry(command).or_default() += 1;
    }

    fn of_subject(&self, subject: &Subject) -> usize {
        self.subjects.get(subject).copied().unwrap_or(0)
    }

    /// Whether the limits on its subject and on its command let one more run.
    fn fits(&self, limits: &CommandLimits, order: &Order) -> bool {
        let same = self.commands.get(order.command.as_str()).copied().unwrap_or(0);
        self.of_subject(&order.subject) < limits.per_subject_max
            && order.permit.at_most.is_none_or(|at_most| same < at_most)
    }
}

impl Waiting {
    fn start(self, now: Duration) -> (Running, Invocation) {
        let Self { mut order, accepted } = self;
        let invocation = std::mem::take(&mut order.permit.invocation);
        // What is passed on as it comes is not kept, so it needs no cap.
        let cap = if order.stream { usize::MAX } else { order.permit.output_bytes_max };
        let due = Some(now.saturating_add(order.permit.timeout));
        let [stdout, stderr] = [Capture::new(cap), Capture::new(cap)];
        let running =
            Running { order, accepted, started: now, due, stop: None, stdout, stderr, lost: false };
        (running, invocation)
    }

    fn close(self, now: Duration, why: Refusal) -> Closed {
        Closed {
            order: self.order,
            outcome: Err(why),
            duration: now.saturating_sub(self.accepted),
            written: [0, 0],
        }
    }
}

impl Running {
    fn stop(&mut self, now: Duration, id: JobId, why: Stop, out: &mut Vec<Action>) {
        if self.stop.is_none() {
            self.stop = Some(why);
            self.due = Some(now.saturating_add(self.order.permit.grace));
            out.push(Action::Terminate(id));
        }
    }

    fn close(self, now: Duration, ending: Ending) -> Closed {
        let written = [self.stdout.total(), self.stderr.total()];
        let whole = self.stdout.is_whole() && self.stderr.is_whole() && !self.lost;
        let end = match ending {
            Ending::Exited(code) => Ok(Ok(code)),
            Ending::Signaled(name) => Ok(Err(name)),
            Ending::Outside(path) => Err(Refusal::outside(&path)),
            Ending::NotStarted { step, reason } => Err(Refusal::NotStarted(step, reason)),
        };
        let ran = end.map(|end| Ran {
            end,
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
            duration: now.saturating_sub(self.started),
            truncated: (!whole).then_some((written[0], written[1])),
        });
        let outcome = match (ran, self.stop) {
            (Ok(ran), Some(Stop::TimedOut)) => Err(Refusal::TimedOut(Some(ran))),
            (Ok(ran), Some(Stop::Cancelled)) => Err(Refusal::Cancelled(Some(ran))),
            (Err(Refusal::NotStarted(..)), Some(Stop::TimedOut)) => Err(Refusal::TimedOut(None)),
            (Err(Refusal::NotStarted(..)), Some(Stop::Cancelled)) => Err(Refusal::Cancelled(None)),
            (ran, _) => ran,
        };
        let duration = now.saturating_sub(self.accepted);
        Closed { order: self.order, outcome, duration, written }
    }
}
