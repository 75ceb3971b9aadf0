//! Many expressions over one connection, a bounded number of them in flight.
//!
//! Promises: one line out for each line in, in order, empty for a line that has no value, or is
//! blank, or begins with #; memory
//! does not grow with the input. A rate limit slows it down and does not end it, unless it asks for
//! a longer wait than the timeout, or refuses every line for so long or `RETRIES_MAX` times. When
//! the daemon is lost, nothing is claimed of the lines that it did not answer.
//! Leaves out: commands. They have an exit status each, and their order matters.

use std::collections::VecDeque;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::client::connection::{Connection, NOTHING};
use crate::client::lines::{Input, Line, Lines};
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::{again, deadline, own_token, text, variables};
use crate::limits;
use crate::protocol::reply::{Answer, Code, Error};
use crate::protocol::request::{Ask, Id, Request};

/// What to do with each line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Variables that hold for all lines.
    pub variables: Vec<(String, String)>,
    /// Names of columns and the expression, when lines are rows of numbers and not expressions.
    pub rows: Option<(Vec<String>, String)>,
    /// The file with the lines; none for standard input.
    pub file: Option<String>,
}

/// A line from its reading to its answer.
struct Slot {
    /// The number of the line, from 1.
    number: u64,
    state: State,
}

enum State {
    /// To be sent, or sent again: the body.
    Waiting(Vec<u8>),
    /// Sent: the body, in case that it has to be sent again.
    Sent(Vec<u8>),
    /// Answered: what is to be printed.
    Answered(Vec<u8>),
}

struct Run<'a> {
    batch: &'a Batch,
    settings: &'a Settings,
    connection: Connection,
    lines: Lines<Input>,
    out: BufWriter<io::Stdout>,
    /// Consecutive lines, the oldest first.
    slots: VecDeque<Slot>,
    /// Lines read so far.
    read: u64,
    in_flight: usize,
    /// Answers since the rate limit was met last; they say how many may be in flight.
    granted: usize,
    /// When the next may be sent.
    resume: Instant,
    /// Lines that were read and have no answer yet.
    open: usize,
    /// When a line was answered last, or the first one was read that waits for its answer.
    answered: Instant,
    /// Refusals with a time to wait since then.
    retries: usize,
    worst: u8,
    progress: Option<Instant>,
    begun: Instant,
}

impl Batch {
    /// Reads all lines, and returns the worst exit status of its lines.
    ///
    /// # Errors
    /// No daemon, none any more, or one that refuses this caller altogether.
    pub fn run(&self, settings: &Settings) -> Result<u8, Failure> {
        let bytes_max = limits::VALUE_REPLY_BYTES_MAX;
        let input = Input::open(self.file.as_deref()).map_err(Failure::refused)?;
        let connection = again::run(settings, None, |settings, _| {
            Connection::open(&settings.servers, bytes_max, deadline(settings), NOTHING)
        })?;
        let now = Instant::now();
        // On a terminal the answers themselves show how far it is.
        let shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let watched = shown && !text::is_quiet();
        let mut run = Run {
            batch: self,
            settings,
            connection,
            lines: Lines::new(input),
            out: BufWriter::new(io::stdout()),
            slots: VecDeque::with_capacity(limits::BATCH_REQUESTS_MAX),
            read: 0,
            in_flight: 0,
            granted: usize::MAX,
            resume: now,
            open: 0,
            answered: now,
            retries: 0,
            worst: status::DONE,
            progress: watched.then_some(now),
            begun: now,
        };
        let done = run.all();
        if run.progress.is_some() {
            text::progress("");
        }
        done.map(|()| run.worst)
    }

    /// The question that a line asks.
    fn ask(&self, line: String) -> Result<Ask, String> {
        let mut variables = self.variables.clone();
        let expression = match &self.rows {
            Some((names, expression)) => {
                variables.extend(variables::row(names, &line)?);
                expression.clone()
            }
            None => line,
        };
        Ok(Ask::Compute { expression, variables })
    }
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), Failure> {
        loop {
            let answers = self.receive();
            let full = answers.is_ok() && self.take_lines();
            let sent = answers.and_then(|()| {
                self.send().map_err(|failure| match self.in_flight {
                    0 => failure,
                    _ => self.lost(&failure.message),
                })
            });
            // What was answered before a failure is printed all the same.
            let printed = self.print();
            sent?;
            printed.map_err(|error| text::unwritten(&error))?;
            let room = self.slots.len() < limits::BATCH_REQUESTS_MAX;
            if full && room {
                continue;
            }
            if self.slots.is_empty() && self.lines.ended() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Takes what was read; says whether there was no room for more.
    fn take_lines(&mut self) -> bool {
        while self.slots.len() < limits::BATCH_REQUESTS_MAX {
            let Some(line) = self.lines.take() else { return false };
            self.read += 1;
            let ask = match line {
                // A blank line or a comment asks nothing, and keeps the others at their places.
                Line::Text(line) if line.trim().is_empty() => Ok(None),
                Line::Text(line) if line.trim_start().starts_with('#') => Ok(None),
                Line::Text(line) => self.batch.ask(line).map(Some),
                Line::TooLong => Err(format!("longer than {} bytes", limits::LINE_BYTES_MAX)),
                Line::NotText => Err("not UTF-8 text".to_owned()),
            };
            let id = Some(Id::Number(self.read.into()));
            let token = self.settings.token.clone();
            let state = match ask {
                Ok(None) => State::Answered(Vec::new()),
                Ok(Some(ask)) => {
                    if self.open == 0 {
                        self.answered = Instant::now();
                    }
                    self.open += 1;
                    State::Waiting(Request { id, token, ask }.encode())
                }
                Err(message) => {
                    // Not worth asking.
                    self.complain(self.read, status::NOT_SENT, &message);
                    self.worst = self.worst.max(status::REFUSED);
                    State::Answered(Vec::new())
                }
            };
            self.slots.push_back(Slot { number: self.read, state });
        }
        true
    }

    fn complain(&self, number: u64, code: &str, message: &str) {
        if self.progress.is_some() {
            text::progress("");
        }
        text::error(code, &format!("line {number}: {message}"));
    }

    /// How many may be in flight: one after a refusal, and one more for every four answers, since
    /// under a limit every one too many is a refusal.
    fn allowed(&self) -> usize {
        (self.granted / 4).clamp(1, limits::BATCH_REQUESTS_MAX)
    }

    /// When it is too late for an answer.
    fn silent(&self) -> Instant {
        self.answered.max(self.resume) + self.settings.timeout
    }

    fn send(&mut self) -> Result<(), Failure> {
        let (allowed, silent) = (self.allowed(), self.silent());
        if self.in_flight >= allowed || Instant::now() < self.resume {
            return Ok(());
        }
        for slot in &mut self.slots {
            if self.in_flight >= allowed {
                break;
            }
            if let State::Waiting(body) = &mut slot.state {
                self.connection.send(body, silent)?;
                slot.state = State::Sent(std::mem::take(body));
                self.in_flight += 1;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Failure> {
        for _ in 0..limits::MESSAGES_PER_TURN {
            let received = self.connection.receive().map_err(|lost| self.lost(&lost.message))?;
            let Some((body, reply)) = received else { break };
            let number = match (&reply.id, &reply.answer) {
                (Some(Id::Number(number)), _) => u64::try_from(*number).unwrap_or(0),
                (None, Answer::Error(error)) => return Err(self.lost(&error.message)),
                _ => 0,
            };
            let first = self.slots.front().map_or(0, |slot| slot.number);
            let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            let slot = index.and_then(|index| self.slots.get_mut(index));
            let Some(Slot { state: state @ State::Sent(_), .. }) = slot else { continue };
            if !reply.answer.answers_expression() {
                return Err(self.lost("what came is no reply to what was asked"));
            }
            let State::Sent(asked) = std::mem::replace(state, State::Answered(Vec::new())) else {
                continue;
            };
            self.in_flight -= 1;
            let (state, stop) = self.heed(number, asked, &body, reply.answer);
            if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
                slot.state = state;
            }
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Decides what an answer means for its line and for the ones after it.
    fn heed(
        &mut self,
        number: u64,
        asked: Vec<u8>,
        body: &[u8],
        answer: Answer,
    ) -> (State, Option<Failure>) {
        if let Answer::Error(error) = &answer
            && let (Code::RateLimited | Code::Busy, Some(wait)) = (error.code, error.retry_after)
        {
            return (State::Waiting(asked), self.slow_down(number, wait, error));
        }
        (self.answered, self.retries) = (Instant::now(), 0);
        self.open = self.open.saturating_sub(1);
        self.granted = self.granted.saturating_add(1);
        let status = status::of(&answer, false);
        self.worst = self.worst.max(status);
        if let Answer::Error(error) = &answer {
            let message = own_token::words(error, &self.settings.token);
            if let Code::Unauthorized | Code::Forbidden | Code::ShuttingDown = error.code {
                let message = format!("stopped at line {number}: {message}");
                let stop = Failure::answered(error, false, message);
                return (State::Answered(Vec::new()), Some(stop));
            }
            self.complain(number, error.code.name(), &message);
        }
        let line = match answer {
            // JSON has line feeds between its values alone; here a reply is a line.
            _ if self.settings.json => {
                body.iter().map(|b| if *b == b'\n' { b' ' } else { *b }).collect()
            }
            Answer::Result(json) => text::one_line(&json).into_bytes(),
            _ => Vec::new(),
        };
        (State::Answered(line), None)
    }

    /// Lets the lines wait, unless that is of no use.
    fn slow_down(&mut self, number: u64, wait: Duration, error: &Error) -> Option<Failure> {
        self.granted = 0;
        self.retries += 1;
        let now = Instant::now();
        let why = if self.retries > limits::RETRIES_MAX {
            "after too many refusals in a row"
        } else if wait > self.settings.timeout || now >= self.answered + self.settings.timeout {
            "which is longer than --timeout allows"
        } else {
            self.resume = now + wait.max(Duration::from_millis(1));
            return None;
        };
        let words = status::words(error);
        let message = format!("stopped at line {number}: {words}, {why}");
        Some(Failure::answered(error, false, message))
    }

    /// Prints the answers whose turn it is.
    fn print(&mut self) -> io::Result<()> {
        while let Some(Slot { state: State::Answered(line), .. }) = self.slots.front() {
            self.out.write_all(line)?;
            self.out.write_all(b"\n")?;
            self.slots.pop_front();
        }
        self.out.flush()?;
        let between = Duration::from_millis(limits::PROGRESS_MS);
        if self.progress.is_some_and(|shown| shown.elapsed() >= between) {
            self.progress = Some(Instant::now());
            let done = self.read.saturating_sub(self.slots.len() as u64);
            let a_second = done as f64 / self.begun.elapsed().as_secs_f64();
            let pause = if self.allowed() == 1 { ", held back by the rate limit" } else { "" };
            let part = self.lines.part().map_or(String::new(), |part| format!(" ({part} %)"));
            text::progress(&format!("{done} lines{part}, {a_second:.0} a second{pause}"));
        }
        Ok(())
    }

    /// Waits for an answer, for a line when there is room for one, or for leave to send.
    fn wait(&mut self) -> Result<(), Failure> {
        let room = self.slots.len() < limits::BATCH_REQUESTS_MAX && !self.lines.ended();
        let input = if room { (self.lines.descriptor(), zmq::POLLIN) } else { NOTHING };
        let now = Instant::now();
        let silent = self.silent();
        if self.open > 0 && now >= silent {
            let seconds = self.settings.timeout.as_secs_f64();
            return Err(self.lost(&format!("no answer for {seconds} s")));
        }
        let mut until = if self.open > 0 { silent } else { now + self.settings.timeout };
        if self.in_flight < self.allowed()
            && self.slots.iter().any(|slot| matches!(slot.state, State::Waiting(_)))
        {
            until = until.min(self.resume);
        }
        let [readable] = self.connection.wait(until, [input])?;
        if readable {
            self.lines
                .fill()
                .map_err(|error| Failure::refused(format!("cannot read the lines: {error}")))?;
        }
        Ok(())
    }

    fn lost(&self, why: &str) -> Failure {
        let first = self.slots.iter().find(|slot| matches!(slot.state, State::Sent(_)));
        let number = first.map_or(self.read, |slot| slot.number);
        Failure::uncertain(format!("stopped at line {number}: {why}"))
    }
}
