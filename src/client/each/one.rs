//! One host of many, from its turn to its end.
//!
//! Promises: nothing here waits. A command that has not ended in time is cancelled, never just
//! forgotten. No more than `EACH_OUTPUT_BYTES_MAX` bytes are kept of what it writes; all are
//! counted.
//! Leaves out: when its turn is, and how its end is shown.

use std::time::{Duration, Instant};

use crate::client::connecting::{Connecting, Route};
use crate::client::connection::Connection;
use crate::client::each::report::{End, Outcome};
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::{conversation, fresh_id, own_token, text};
use crate::limits;
use crate::port::{OutputBytes, Stream};
use crate::protocol::reply::{Answer, Code, Error, Ran};
use crate::protocol::request::{Ask, Request};

/// One host.
pub struct One {
    host: String,
    timeout: Duration,
    request: Request,
    state: State,
    begun: Instant,
    /// When to give up.
    until: Instant,
    /// Whether Ctrl-C has told the command to end.
    ending: bool,
    /// What still sends a `cancel`, until all hosts have their end: to wait for it would delay the
    /// others.
    lingering: Option<zmq::Context>,
    output: Output,
}

enum State {
    Waiting(Route),
    Connecting(Connecting),
    Asked(Connection),
    Ended(End),
}

/// What a command wrote: what is kept of it, and how much it was.
#[derive(Default)]
struct Output {
    kept: [Vec<u8>; 2],
    totals: [u64; 2],
}

impl Output {
    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let ([out, err], [out_total, err_total]) = (&mut self.kept, &mut self.totals);
        let room = limits::EACH_OUTPUT_BYTES_MAX.saturating_sub(out.len() + err.len());
        let (kept, total) = match stream {
            Stream::Stdout => (out, out_total),
            Stream::Stderr => (err, err_total),
        };
        kept.extend(bytes.iter().take(room));
        *total = total.saturating_add(bytes.len() as u64);
    }

    /// How a command ran, as if its output had come at its end.
    fn complete(&mut self, ran: &mut Ran) {
        self.take(Stream::Stdout, &std::mem::take(&mut ran.stdout));
        self.take(Stream::Stderr, &std::mem::take(&mut ran.stderr));
        let told = ran.truncated.unwrap_or_default();
        let [stdout, stderr] = self.totals;
        let totals =
            OutputBytes { stdout: told.stdout.max(stdout), stderr: told.stderr.max(stderr) };
        [ran.stdout, ran.stderr] = std::mem::take(&mut self.kept);
        let kept = OutputBytes { stdout: ran.stdout.len() as u64, stderr: ran.stderr.len() as u64 };
        ran.truncated = (totals != kept).then_some(totals);
    }
}

impl One {
    /// A host that waits for its turn, one of `at_most` at the same time.
    pub fn new(host: String, settings: Settings, ask: Ask, at_most: usize) -> Self {
        let Settings { servers, token, timeout, id, .. } = settings;
        let request = Request { id: Some(id.unwrap_or_else(fresh_id)), token, ask };
        let reply_bytes_max = limits::VALUE_REPLY_BYTES_MAX;
        let held_bytes_max = limits::RECEIVED_BYTES_MAX / at_most.max(1);
        // Sockets that are closed leave with their context, and not before.
        let context = zmq::Context::new();
        let route = Route { context, servers, reply_bytes_max, held_bytes_max };
        let (state, now) = (State::Waiting(route), Instant::now());
        let output = Output::default();
        Self {
            host,
            timeout,
            request,
            state,
            begun: now,
            until: now,
            ending: false,
            lingering: None,
            output,
        }
    }

    /// Whether it waits for its turn.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Whether its turn has come, and its end has not.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, State::Connecting(_) | State::Asked(_))
    }

    /// Whether it has an end, and not a good one.
    pub fn has_failed(&self) -> bool {
        matches!(&self.state, State::Ended(end) if end.outcome != Outcome::Ok)
    }

    /// Its turn has come.
    pub fn begin(&mut self) {
        let State::Waiting(route) = &self.state else { return };
        self.begun = Instant::now();
        self.until = self.begun + self.timeout;
        match Connecting::begin(route.clone()) {
            Ok(connecting) => self.state = State::Connecting(connecting),
            Err(failure) => self.fail(Outcome::Unreachable, failure),
        }
    }

    /// Its turn does not come.
    pub fn skip(&mut self, why: &str) {
        self.fail(Outcome::Skipped, Failure::refused(why));
    }

    /// What to wait for before the next `step`.
    pub fn items(&self) -> Vec<zmq::PollItem<'_>> {
        match &self.state {
            State::Connecting(connecting) => connecting.news().into_iter().collect(),
            State::Asked(connection) => connection.items().into(),
            State::Waiting(_) | State::Ended(_) => Vec::new(),
        }
    }

    /// When the next `step` has something to do, whatever comes.
    pub fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting(connecting) => Some(connecting.due().min(self.until)),
            State::Asked(_) => Some(self.until),
            State::Waiting(_) | State::Ended(_) => None,
        }
    }

    /// Does what can be done now.
    pub fn step(&mut self) {
        if let Err(failure) = self.connect() {
            let outcome = match &self.state {
                State::Asked(_) => Outcome::Refused,
                _ => Outcome::Unreachable,
            };
            return self.fail(outcome, failure);
        }
        if let Err(failure) = self.receive() {
            let outcome = match failure.status {
                status::UNCERTAIN => Outcome::Unknown,
                _ => Outcome::Refused,
            };
            return self.fail(outcome, failure);
        }
        if self.is_under_way() && Instant::now() >= self.until {
            self.give_up();
        }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        if let State::Connecting(connecting) = &mut self.state
            && let Some(connection) = connecting.step()?
        {
            self.state = State::Asked(connection);
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Failure> {
        match &mut self.state {
            State::Asked(connection) => connection.send(&self.request.encode(), self.begun),
            State::Waiting(_) | State::Connecting(_) | State::Ended(_) => Ok(()),
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        for _ in 0..limits::MESSAGES_PER_TURN {
            let State::Asked(connection) = &mut self.state else { return Ok(()) };
            connection.read_news();
            let Some((_, reply)) = connection.receive()? else { return Ok(()) };
            let streamed = self.output.totals != [0, 0];
            match conversation::answer_to(&self.request, streamed, reply)? {
                Some(Answer::Output { stream, bytes }) => self.output.take(stream, &bytes),
                Some(Answer::Error(error)) if self.elsewhere(&error) => {}
                Some(answer) => self.take(answer),
                None => {}
            }
        }
        Ok(())
    }

    /// Turns to the next server, if this one drains and did nothing.
    fn elsewhere(&mut self, error: &Error) -> bool {
        let State::Asked(connection) = &self.state else { return false };
        if !conversation::sends_on(error) || self.ending {
            return false;
        }
        let Some(Ok(connecting)) = connection.next() else { return false };
        self.state = State::Connecting(connecting);
        true
    }

    /// Takes the last answer.
    fn take(&mut self, mut answer: Answer) {
        let status = status::of(&answer, matches!(self.request.ask, Ask::Os(_)));
        let (outcome, message) = match &mut answer {
            Answer::Ran(ran) => {
                self.output.complete(ran);
                (if status == 0 { Outcome::Ok } else { Outcome::Failed }, String::new())
            }
            Answer::Result(_) | Answer::Number(_) | Answer::Output { .. } | Answer::Event(_) => {
                (Outcome::Ok, String::new())
            }
            Answer::Error(error) => {
                if let Some(ran) = &mut error.ran {
                    self.output.complete(ran);
                }
                let ran = error.ran.is_some() || error.executed == Some(true);
                let outcome = match status {
                    _ if self.ending && error.code == Code::Cancelled => Outcome::Cancelled,
                    status::UNCERTAIN => Outcome::Unknown,
                    status::NO_VALUE | status::TIMED_OUT => Outcome::Failed,
                    _ if ran => Outcome::Failed,
                    _ => Outcome::Refused,
                };
                (outcome, own_token::words(error, &self.request.token))
            }
        };
        let failure = Failure { message, ..Failure::quiet(status) };
        self.finish(outcome, failure, Some(answer));
    }

    /// Its time is over.
    fn give_up(&mut self) {
        let seconds = self.timeout.as_secs_f64();
        let (outcome, failure) = match &mut self.state {
            State::Connecting(connecting) => (Outcome::Unreachable, connecting.failure()),
            _ if self.ending => (
                Outcome::Unknown,
                Failure::uncertain("the daemon did not confirm that the command has ended"),
            ),
            State::Asked(connection) => {
                self.lingering = Some(connection.context());
                let cancelled = match conversation::cancel(connection, &self.request) {
                    true => "; the daemon was told to end the command",
                    false => "",
                };
                let what = format!("no answer within {seconds} s{cancelled}");
                (Outcome::Unknown, Failure::uncertain(what))
            }
            State::Waiting(_) | State::Ended(_) => return,
        };
        self.fail(outcome, failure);
    }

    /// Ctrl-C. The first one tells the command to end, and the second one does not wait for it.
    pub fn interrupt(&mut self, is_second: bool) {
        match &mut self.state {
            State::Asked(connection) if matches!(self.request.ask, Ask::Os(_)) => {
                if !self.ending {
                    self.lingering = Some(connection.context());
                    conversation::cancel(connection, &self.request);
                    self.ending = true;
                    let wait = Duration::from_secs(limits::CANCEL_SECONDS);
                    self.until = Instant::now() + wait;
                }
                if is_second {
                    self.give_up();
                }
            }
            State::Asked(_) => self.fail(Outcome::Cancelled, Failure::quiet(status::INTERRUPTED)),
            State::Connecting(_) => self.skip("not asked, after Ctrl-C"),
            State::Waiting(_) | State::Ended(_) => {}
        }
    }

    /// Its end without an answer. What it wrote until then is kept.
    fn fail(&mut self, outcome: Outcome, failure: Failure) {
        self.finish(outcome, failure, None);
    }

    fn finish(&mut self, outcome: Outcome, failure: Failure, answer: Option<Answer>) {
        let took = if self.is_waiting() { Duration::ZERO } else { self.begun.elapsed() };
        let message = text::one_line(&failure.message);
        self.state = State::Ended(End {
            host: self.host.clone(),
            outcome,
            status: failure.status,
            message: message.chars().take(limits::EACH_MESSAGE_CHARACTERS_MAX).collect(),
            took,
            answer,
            partial: std::mem::take(&mut self.output.kept),
        });
    }

    /// What became of it, if it has its end.
    pub fn end(self) -> Option<End> {
        match self.state {
            State::Ended(end) => Some(end),
            State::Waiting(_) | State::Connecting(_) | State::Asked(_) => None,
        }
    }
}
