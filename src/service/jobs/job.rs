//! One command, from its acceptance to its end.
//!
//! Promises: it goes one way, from `Waiting` through `Running` to `Closed`; each step consumes the
//! last one. `Closed` reports its end exactly once.
//! Leaves out: when a command starts, which `jobs` decides.

use std::time::Duration;

use crate::port::{Action, Ended, Ending, Field, Invocation, JobId, Moment, OutputBytes, Subject};
use crate::protocol::reply::{Answer, Ran};
use crate::protocol::token::Unopened;
use crate::service::audit::Fields;
use crate::service::commands::Permit;
use crate::service::jobs::output::Capture;
use crate::service::origin::Origin;
use crate::service::refusal::Refusal;

/// What a job is opened with.
#[derive(Debug)]
pub struct Order {
    /// The request that gets its reply.
    pub origin: Origin,
    /// The subject it counts for.
    pub subject: Subject,
    /// The name of the command.
    pub command: String,
    /// What to run.
    pub permit: Permit,
    /// Whether output is streamed.
    pub stream: bool,
    /// When it was accepted.
    pub accepted: Moment,
    /// The token of its request; a reload checks it again.
    pub token: String,
    /// The fields that both of its log lines have.
    pub audit: Fields,
}

impl Order {
    /// The name of which all commands that have it run one at a time.
    pub(super) fn lock(&self) -> Option<&str> {
        self.permit.execution.lock.as_deref()
    }

    /// Its entry in a list of jobs.
    pub(super) fn entry(&self, job: JobId, state: &'static str, written: OutputBytes) -> Entry<'_> {
        let Self { origin, subject, command, accepted, .. } = self;
        Entry { job, state, subject, command, origin, since: accepted.uptime, written }
    }
}

/// A job that has ended.
#[derive(Debug)]
pub struct Closed {
    /// What it was opened with.
    pub order: Order,
    /// How it ended.
    pub outcome: Result<Ran, Refusal>,
    /// The time from its acceptance to its end.
    pub duration: Duration,
    /// Bytes that it wrote to its two streams.
    pub written: OutputBytes,
}

impl Closed {
    /// The log fields and the reply that report its end.
    pub fn report(self) -> (Fields, Answer) {
        let Closed { order, outcome, duration, written: OutputBytes { stdout, stderr } } = self;
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
            Some(Ended::Exited(code)) => fields.push(("exit_code", Field::Number((*code).into()))),
            Some(Ended::Signaled(signal)) => fields.push(("signal", signal.clone().into())),
            None => {}
        }
        if let Some(success) = ran.and_then(|ran| ran.success) {
            fields.push(("success", if success { "yes" } else { "no" }.into()));
        }
        let duration = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        fields.push(("duration_ms", duration.into()));
        fields.push(("stdout_bytes", stdout.into()));
        fields.push(("stderr_bytes", stderr.into()));
        let answer = match outcome {
            Ok(ran) => Answer::Ran(ran),
            Err(refusal) => Answer::Error(refusal.into_error(true)),
        };
        (fields, answer)
    }
}

/// A job, for those who list them.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its number, unique in a run of the daemon.
    pub job: JobId,
    /// `running`, `ending` after it was told to end, `left` if processes of it outlive it,
    /// `starting`, or `waiting`.
    pub state: &'static str,
    /// The subject that it counts for.
    pub subject: &'a Subject,
    /// The name of the command.
    pub command: &'a str,
    /// Its request.
    pub origin: &'a Origin,
    /// When it was accepted.
    pub since: Duration,
    /// Bytes that it has written so far.
    pub written: OutputBytes,
}

/// A command that has not started.
#[derive(Debug)]
pub(super) struct Waiting(pub(super) Order);

/// A command that has started.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) order: Order,
    started: Duration,
    /// The time of its next step: its time limit, or the end of its grace period.
    pub(super) due: Option<Duration>,
    pub(super) stop: Option<Stop>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    /// Whether some of its output was not streamed, since its peer did not read.
    pub(super) lost: bool,
}

/// Why a command is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It reached its time limit.
    TimedOut,
    /// Its caller, or the end of the daemon, asked for it.
    Cancelled,
    /// A reload made its token or key invalid; the reason.
    Expelled(Unopened),
}

impl Waiting {
    /// The time at which it has waited for as long as it may run.
    pub(super) fn due(&self) -> Duration {
        self.0.accepted.uptime.saturating_add(self.0.permit.timeout)
    }

    /// Begins.
    pub(super) fn start(self, now: Duration) -> (Running, Invocation) {
        let Self(mut order) = self;
        let invocation = std::mem::take(&mut order.permit.invocation);
        // Streamed output is not kept, so it needs no cap.
        let cap = if order.stream { usize::MAX } else { order.permit.output_bytes_max };
        let due = Some(now.saturating_add(order.permit.timeout));
        let [stdout, stderr] = [Capture::new(cap), Capture::new(cap)];
        let running = Running { order, started: now, due, stop: None, stdout, stderr, lost: false };
        (running, invocation)
    }

    /// Ends it before its start.
    pub(super) fn close(self, now: Duration, why: Refusal) -> Closed {
        let duration = now.saturating_sub(self.0.accepted.uptime);
        Closed { order: self.0, outcome: Err(why), duration, written: OutputBytes::default() }
    }
}

impl Running {
    /// Sends SIGTERM, unless it was sent before.
    pub(super) fn stop(&mut self, now: Duration, id: JobId, why: Stop, out: &mut Vec<Action>) {
        if self.stop.is_none() {
            self.stop = Some(why);
            self.due = Some(now.saturating_add(self.order.permit.execution.grace));
            out.push(Action::Terminate(id));
        }
    }

    /// Bytes that it has written so far.
    pub(super) fn written(&self) -> OutputBytes {
        OutputBytes { stdout: self.stdout.total(), stderr: self.stderr.total() }
    }

    /// Ends.
    pub(super) fn close(self, now: Duration, ending: Ending) -> Closed {
        let written = self.written();
        let whole = self.stdout.is_whole() && self.stderr.is_whole() && !self.lost;
        let end = match ending {
            Ending::Exited(code) => Ok(Ended::Exited(code)),
            Ending::Signaled(name) => Ok(Ended::Signaled(name)),
            Ending::BadPath { parameter, reason } => {
                Err(Refusal::BadParameter(format!("parameter {parameter}: {reason}")))
            }
            Ending::NotStarted { step, reason } => Err(Refusal::NotStarted(step, reason)),
        };
        let success = &self.order.permit.execution.success;
        let is_success = |end: &Ended| match end {
            Ended::Exited(code) => u8::try_from(*code).is_ok_and(|code| success.contains(&code)),
            Ended::Signaled(_) => false,
        };
        let ran = end.map(|end| Ran {
            success: (!success.is_empty()).then(|| is_success(&end)),
            end,
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
            duration: now.saturating_sub(self.started),
            truncated: (!whole).then_some(written),
        });
        let outcome = match (ran, self.stop) {
            (Ok(ran), Some(Stop::TimedOut)) => Err(Refusal::TimedOut(Some(ran))),
            (Ok(ran), Some(Stop::Cancelled)) => Err(Refusal::Cancelled(Some(ran))),
            (Ok(ran), Some(Stop::Expelled(why))) => Err(Refusal::Expelled(why, Box::new(ran))),
            (Err(Refusal::NotStarted(..)), Some(Stop::Expelled(why))) => {
                Err(Refusal::Unauthorized(why))
            }
            (Err(Refusal::NotStarted(..)), Some(Stop::TimedOut)) => Err(Refusal::TimedOut(None)),
            (Err(Refusal::NotStarted(..)), Some(Stop::Cancelled)) => Err(Refusal::Cancelled(None)),
            (ran, _) => ran,
        };
        let duration = now.saturating_sub(self.order.accepted.uptime);
        Closed { order: self.order, outcome, duration, written }
    }
}
