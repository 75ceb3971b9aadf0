//! Commands from their permit to their reply: waiting, running, stopping, ended.
//!
//! Promises: every job that is opened is closed exactly once, and its caller is told how it ended.
//! Waiting is bounded in number and in time. The caller with the fewest running commands comes
//! first, and of these the one that has waited longest. A turn starts a bounded number, so that the
//! loop does not delay others. A command and all that it started get SIGTERM, and SIGKILL at the
//! end of the grace period: at the time limit, on demand, when a reload makes its token invalid,
//! and when the command has ended by itself and left processes running. A job counts as running
//! until all its processes have ended; its reply does not wait for that.
//! Leaves out: how processes are started and ended, and what the replies look like.

pub mod drain;
pub mod job;
pub mod output;
#[cfg(test)]
mod transitions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits;
use crate::port::{Action, Ending, JobId, OutputBytes, Stream, Subject};
use crate::protocol::token::Unopened;
use crate::service::counters::CommandCounts;
pub use crate::service::jobs::job::{Closed, Entry, Order};
use crate::service::jobs::job::{Running, Stop, Waiting};
use crate::service::origin::Origin;
use crate::service::refusal::Refusal;
use crate::service::settings::CommandLimits;

/// A command that has ended and has its reply, but left processes running.
#[derive(Debug)]
struct Lingering {
    origin: Origin,
    subject: Subject,
    command: String,
    lock: Option<String>,
    /// When it was accepted.
    accepted: Duration,
    written: OutputBytes,
    /// When it gets SIGKILL; none once it has.
    due: Option<Duration>,
}

/// All jobs, in the order of their arrival.
#[derive(Debug)]
pub struct Jobs {
    limits: CommandLimits,
    next: u64,
    waiting: BTreeMap<JobId, Waiting>,
    /// Those that have a place and start in this turn or the next ones.
    starting: BTreeMap<JobId, Waiting>,
    running: BTreeMap<JobId, Running>,
    lingering: BTreeMap<JobId, Lingering>,
}

impl Jobs {
    /// No jobs.
    pub fn new(limits: CommandLimits) -> Self {
        let (waiting, starting, running, lingering) = Default::default();
        Self { limits, next: 0, waiting, starting, running, lingering }
    }

    /// How many are running, and how many wait.
    pub fn counts(&self) -> CommandCounts {
        let running = self.starting.len() + self.running.len() + self.lingering.len();
        CommandCounts { running, waiting: self.waiting.len() }
    }

    /// Whether no command runs or waits, and none has left processes.
    pub fn is_empty(&self) -> bool {
        self.counts() == CommandCounts::default()
    }

    /// All jobs: those that have started, then those that will, in the order of their arrival.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let left = self.lingering.iter().map(|(job, left)| Entry {
            job: *job,
            state: "left",
            subject: &left.subject,
            command: &left.command,
            origin: &left.origin,
            since: left.accepted,
            written: left.written,
        });
        let running =
            self.running.iter().map(|(job, Running { order, stop, stdout, stderr, .. })| {
                let written = OutputBytes { stdout: stdout.total(), stderr: stderr.total() };
                order.entry(*job, if stop.is_some() { "ending" } else { "running" }, written)
            });
        let unstarted = [("starting", &self.starting), ("waiting", &self.waiting)];
        let unstarted = unstarted.into_iter().flat_map(|(state, jobs)| {
            jobs.iter()
                .map(move |(job, Waiting(order))| order.entry(*job, state, OutputBytes::default()))
        });
        left.chain(running).chain(unstarted)
    }

    /// Opens a job: it gets a place, or waits for one. It starts in a `tick`, after the log line of
    /// its acceptance.
    ///
    /// # Errors
    /// The queue is full; the time until the first running command must have ended.
    pub fn open(&mut self, now: Duration, order: Order) -> Result<(), Refusal> {
        let may_start = self.has_room() && self.tally().fits(&self.limits, &order);
        // A full queue still has a place for the first command of another caller.
        let is_first = !self.waiting.values().any(|job| job.0.subject == order.subject);
        let room = self.limits.queued_max * if is_first { 2 } else { 1 };
        if !may_start && self.waiting.len() >= room {
            return Err(Refusal::Busy(self.next_end(now)));
        }
        self.waiting.insert(JobId(self.next), Waiting(order));
        self.next += 1;
        self.give_places();
        Ok(())
    }

    /// Takes output of a command; returns what to stream, and the request that gets it.
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

    /// Notes that output of a job could not be streamed: its last reply says so.
    pub fn lose_output(&mut self, job: JobId) {
        if let Some(job) = self.running.get_mut(&job) {
            job.lost = true;
        }
    }

    /// Closes a job that has ended. Processes that it left get SIGTERM, and keep its place.
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
            let Order { origin, subject, command, permit, accepted, .. } = &job.order;
            let due = match job.stop {
                Some(_) => job.due,
                None => {
                    out.push(Action::Terminate(id));
                    Some(now.saturating_add(permit.execution.grace))
                }
            };
            let left = Lingering {
                origin: origin.clone(),
                subject: subject.clone(),
                command: command.clone(),
                lock: permit.execution.lock.clone(),
                accepted: accepted.uptime,
                written: job.written(),
                due,
            };
            self.lingering.insert(id, left);
        }
        Some(job.close(now, ending))
    }

    /// All processes of a job have ended.
    pub fn gone(&mut self, id: JobId) {
        self.lingering.remove(&id);
    }

    /// Stops the jobs that are meant. Those that wait are closed at once; none if there was nothing
    /// to stop.
    pub fn cancel(
        &mut self,
        now: Duration,
        meant: impl Fn(JobId, &Order) -> bool,
        out: &mut Vec<Action>,
    ) -> Option<Vec<Closed>> {
        let closed = self
            .close_unstarted(now, |id, job| meant(id, &job.0).then_some(Refusal::Cancelled(None)));
        let stopped = self.stop_running(now, meant, out);
        (stopped > 0 || !closed.is_empty()).then_some(closed)
    }

    /// A peer has left. Stops the jobs that stream to it, and closes those that have not started.
    pub fn abandon(
        &mut self,
        now: Duration,
        routing_id: Option<&Vec<u8>>,
        out: &mut Vec<Action>,
    ) -> Vec<Closed> {
        let theirs = |order: &Order| order.origin.peer.envelope.first() == routing_id;
        self.stop_running(now, |_, order| order.stream && theirs(order), out);
        self.close_waiting(now, |order| theirs(order).then_some(Refusal::Cancelled(None)))
    }

    /// Ends all jobs for which there is a reason: their token or key is no longer valid.
    pub fn expel(
        &mut self,
        now: Duration,
        why: impl Fn(&Order) -> Option<Unopened>,
        out: &mut Vec<Action>,
    ) -> Vec<Closed> {
        for (id, job) in &mut self.running {
            if let Some(why) = why(&job.order) {
                job.stop(now, *id, Stop::Expelled(why), out);
            }
        }
        self.close_waiting(now, |order| why(order).map(Refusal::Unauthorized))
    }

    /// The identifier of the next job.
    pub fn next_id(&self) -> JobId {
        JobId(self.next)
    }

    /// Closes the jobs from this identifier on; none of them has started.
    pub fn close_since(&mut self, first: JobId, now: Duration, at: &str) -> Vec<Closed> {
        let why = |id: JobId| (id >= first).then(|| Refusal::Internal(at.to_owned()));
        self.close_unstarted(now, |id, _| why(id))
    }

    /// Closes the jobs that have not started and for which there is a reason.
    pub fn close_waiting(
        &mut self,
        now: Duration,
        why: impl Fn(&Order) -> Option<Refusal>,
    ) -> Vec<Closed> {
        self.close_unstarted(now, |_, job| why(&job.0))
    }

    fn close_unstarted(
        &mut self,
        now: Duration,
        why: impl Fn(JobId, &Waiting) -> Option<Refusal>,
    ) -> Vec<Closed> {
        let mut closed = Vec::new();
        for jobs in [&mut self.starting, &mut self.waiting] {
            let meant: Vec<_> =
                jobs.iter().filter_map(|(id, job)| Some((*id, why(*id, job)?))).collect();
            for (id, why) in meant {
                closed.extend(jobs.remove(&id).map(|job| job.close(now, why)));
            }
        }
        closed
    }

    /// Stops the running jobs that match; returns their number.
    pub fn stop_running(
        &mut self,
        now: Duration,
        which: impl Fn(JobId, &Order) -> bool,
        out: &mut Vec<Action>,
    ) -> usize {
        let meant = self.running.iter_mut().filter(|(id, job)| which(**id, &job.order));
        meant.map(|(id, job)| job.stop(now, *id, Stop::Cancelled, out)).count()
    }

    /// The running jobs that stream to the peer of this routing id.
    pub fn streams_to(&self, routing_id: Option<&Vec<u8>>) -> impl Iterator<Item = JobId> {
        let theirs =
            move |order: &Order| order.stream && order.origin.peer.envelope.first() == routing_id;
        self.running.iter().filter(move |(_, job)| theirs(&job.order)).map(|(id, _)| *id)
    }

    /// Closes all started jobs, which have got SIGKILL and still exist; returns their commands.
    pub fn give_up(&mut self, now: Duration) -> (Vec<Closed>, Vec<String>) {
        let (running, lingering) =
            (std::mem::take(&mut self.running), std::mem::take(&mut self.lingering));
        let names = running.values().map(|job| job.order.command.clone());
        let names = names.chain(lingering.into_values().map(|job| job.command)).collect();
        let killed = || Ending::Signaled("SIGKILL".to_owned());
        (running.into_values().map(|job| job.close(now, killed())).collect(), names)
    }

    /// The time of the next step: a start, a SIGTERM, a SIGKILL, or the end of a wait.
    pub fn next_deadline(&self) -> Option<Duration> {
        if !self.starting.is_empty() {
            return Some(Duration::ZERO);
        }
        let lingering = self.lingering.values().filter_map(|job| job.due);
        let waiting = self.waiting.values().map(Waiting::due);
        self.running.values().filter_map(|job| job.due).chain(lingering).chain(waiting).min()
    }

    /// Runs what is due: sends signals, gives free places, starts a bounded number of commands, and
    /// closes jobs that have waited too long.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Action>) -> Vec<Closed> {
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
        self.give_places();
        for _ in 0..limits::STARTS_PER_TURN {
            let Some((id, job)) = self.starting.pop_first() else { break };
            let (job, invocation) = job.start(now);
            self.running.insert(id, job);
            out.push(Action::Start { job: id, invocation: Box::new(invocation) });
        }
        self.close_overdue(now)
    }

    fn close_overdue(&mut self, now: Duration) -> Vec<Closed> {
        let wait = self.next_end(now);
        let is_overdue = |job: &Waiting| job.due() <= now;
        let overdue: Vec<JobId> =
            self.waiting.iter().filter(|(_, job)| is_overdue(job)).map(|(id, _)| *id).collect();
        let jobs = overdue.into_iter().filter_map(|id| self.waiting.remove(&id));
        jobs.map(|job| job.close(now, Refusal::NoTurn(wait))).collect()
    }

    fn tally(&self) -> Tally<'_> {
        let mut tally = Tally::default();
        for Waiting(order) in self.starting.values() {
            tally.count(&order.subject, &order.command, order.lock());
        }
        for Running { order, .. } in self.running.values() {
            tally.count(&order.subject, &order.command, order.lock());
        }
        for Lingering { subject, command, lock, .. } in self.lingering.values() {
            tally.count(subject, command, lock.as_deref());
        }
        tally
    }

    /// Gives free places to waiting jobs.
    fn give_places(&mut self) {
        while self.has_room() {
            let tally = self.tally();
            let fitting = self.waiting.iter().filter(|(_, job)| tally.fits(&self.limits, &job.0));
            let next = fitting.min_by_key(|(_, job)| tally.of_subject(&job.0.subject));
            let Some(id) = next.map(|(id, _)| *id) else { return };
            let Some(job) = self.waiting.remove(&id) else { return };
            self.starting.insert(id, job);
        }
    }

    fn has_room(&self) -> bool {
        self.counts().running < self.limits.concurrent_max
    }

    /// The time until the first running command must have ended, its grace period included.
    fn next_end(&self, now: Duration) -> Duration {
        let end = |job: &Running| {
            let due = job.due.unwrap_or(now);
            if job.stop.is_none() {
                due.saturating_add(job.order.permit.execution.grace)
            } else {
                due
            }
        };
        let lingering = self.lingering.values().map(|job| job.due.unwrap_or(now));
        let first = self.running.values().map(end).chain(lingering).min().unwrap_or(now);
        // A command that should have ended already ends soon.
        first.saturating_sub(now).max(Duration::from_millis(100))
    }
}

/// The numbers of running commands, by subject and by command.
#[derive(Default)]
struct Tally<'a> {
    subjects: BTreeMap<&'a Subject, usize>,
    commands: BTreeMap<&'a str, usize>,
    locks: BTreeSet<&'a str>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, subject: &'a Subject, command: &'a str, lock: Option<&'a str>) {
        self.locks.extend(lock);
        *self.subjects.entry(subject).or_default() += 1;
        *self.commands.entry(command).or_default() += 1;
    }

    fn of_subject(&self, subject: &Subject) -> usize {
        self.subjects.get(subject).copied().unwrap_or(0)
    }

    /// Whether the limits on its subject and on its command let one more run, and its lock is free.
    fn fits(&self, limits: &CommandLimits, order: &Order) -> bool {
        let same = self.commands.get(order.command.as_str()).copied().unwrap_or(0);
        self.of_subject(&order.subject) < limits.per_subject_max
            && order.permit.execution.at_most.is_none_or(|at_most| same < at_most)
            && order.lock().is_none_or(|lock| !self.locks.contains(lock))
    }
}
