//! Exit statuses: the one place that says what a script learns from `$?`.
//!
//! Promises: 125, 126 and 127 are given only when nothing ran, 255 when that is not known; a
//! command that ran gives its own status, or 128 and the number of the signal that ended it.
//! Leaves out: what is printed, but for the words about an error.

use std::time::Duration;

use crate::limits;
use crate::port::Ended;
use crate::protocol::reply::{Answer, Code, Error, Ran};
use crate::system::signals::{self, Signals};

/// The daemon did what it was asked.
pub const DONE: u8 = 0;
/// The expression has no value.
pub const NO_VALUE: u8 = 1;
/// The command ended with 0, which is no success of its.
pub const NO_SUCCESS: u8 = 1;
/// The daemon ended the command at its time limit.
pub const TIMED_OUT: u8 = 124;
/// Refused, or failed before anything ran.
pub const REFUSED: u8 = 125;
/// Forbidden for this token, or the program could not be started.
pub const FORBIDDEN: u8 = 126;
/// No such command.
pub const UNKNOWN: u8 = 127;
/// Ended by Ctrl-C: 128 and SIGINT.
pub const INTERRUPTED: u8 = 130;
/// The reader of standard output has left: 128 and SIGPIPE.
pub const UNREAD: u8 = 141;
/// Sent, and what became of it is not known.
pub const UNCERTAIN: u8 = 255;

/// The code of a failure that is the command line's.
pub const USAGE: &str = "usage";
/// The code of what the client refuses by itself: a setting, a file, an input.
pub const NOT_SENT: &str = "refused";
/// The code of a daemon that cannot be reached: nothing was sent.
pub const UNREACHABLE: &str = "unreachable";
/// The code of what was sent, and has no answer that can be trusted.
pub const NO_ANSWER: &str = "uncertain";
/// The code of a command of the host that `get` and the like have run, and that failed.
pub const COMMAND_FAILED: &str = "failed";

/// The exit status for the signal that ended this run: 128 and its number.
pub fn of_interrupt(signals: &Signals) -> u8 {
    match u8::try_from(signals.last()) {
        Ok(number @ 1..128) => 128 + number,
        _ => INTERRUPTED,
    }
}

/// The end of a run that has no answer to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub status: u8,
    /// What kind, for programs: one of the codes here, or of those on the wire.
    pub code: &'static str,
    /// What happened and what to do; empty when there is nothing to say.
    pub message: String,
    /// When to try again, if a daemon said so.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Nothing was sent.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(REFUSED, NOT_SENT, message)
    }

    /// There is no daemon to send to.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(REFUSED, UNREACHABLE, message)
    }

    /// Something was sent, and what became of it is not known.
    pub fn uncertain(message: impl Into<String>) -> Self {
        Self::new(UNCERTAIN, NO_ANSWER, message)
    }

    /// A command has run, and has failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(REFUSED, COMMAND_FAILED, message)
    }

    /// An end that needs no words.
    pub fn quiet(status: u8) -> Self {
        Self::new(status, NOT_SENT, String::new())
    }

    /// The answer is an error, to a request for a command or for something else.
    pub fn answered(error: &Error, os: bool, words: String) -> Self {
        let failure = Self::new(refused(error, os), error.code.name(), words);
        Self { retry_after: error.retry_after, ..failure }
    }

    fn new(status: u8, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }
}

/// The exit status for an answer; `os` says whether a command was asked for.
pub fn of(answer: &Answer, os: bool) -> u8 {
    match answer {
        Answer::Result(_) | Answer::Number(_) | Answer::Output { .. } | Answer::Event(_) => DONE,
        Answer::Ran(ran) => ended(ran),
        Answer::Error(error) => refused(error, os),
    }
}

fn ended(ran: &Ran) -> u8 {
    match &ran.end {
        // The owner of the host says which exit codes are success.
        Ended::Exited(_) if ran.success == Some(true) => DONE,
        Ended::Exited(0) if ran.success == Some(false) => NO_SUCCESS,
        Ended::Exited(code) => u8::try_from(*code).unwrap_or(UNCERTAIN),
        Ended::Signaled(signal) => signaled(signal),
    }
}

fn refused(error: &Error, os: bool) -> u8 {
    let ran = error.ran.is_some() || error.executed == Some(true);
    match error.code {
        Code::BadExpression => NO_VALUE,
        Code::TimedOut if ran || error.executed.is_none() => TIMED_OUT,
        Code::Cancelled if ran => match &error.ran {
            Some(Ran { end: Ended::Signaled(signal), .. }) => signaled(signal),
            Some(Ran { end: Ended::Exited(code), .. }) if *code != 0 => {
                u8::try_from(*code).unwrap_or(143)
            }
            // It left with 0 when it was told to end. That is no success.
            _ => signaled("SIGTERM"),
        },
        _ if ran => UNCERTAIN,
        Code::Internal if os && error.executed.is_none() => UNCERTAIN,
        Code::Forbidden | Code::NotStarted => FORBIDDEN,
        Code::UnknownCommand => UNKNOWN,
        Code::Malformed
        | Code::TooLarge
        | Code::Unauthorized
        | Code::BadParameter
        | Code::Unconfirmed
        | Code::RateLimited
        | Code::Busy
        | Code::TimedOut
        | Code::Cancelled
        | Code::NotFound
        | Code::ShuttingDown
        | Code::Internal => REFUSED,
    }
}

/// The exit status for the end by the signal of this name: 128 and its number, if it is known.
pub fn of_signal(name: &str) -> Option<u8> {
    let number = (1..=limits::SIGNALS_MAX).find(|number| signals::name((*number).into()) == name);
    number.map(|number| 128 + number)
}

fn signaled(name: &str) -> u8 {
    of_signal(name).unwrap_or(UNCERTAIN)
}

/// What an error says, and what a person can do about it.
pub fn words(error: &Error) -> String {
    let wait = match error.retry_after {
        Some(wait) => format!("; try again in {:.1} s", wait.as_secs_f64()),
        None => String::new(),
    };
    let hint = match error.code {
        Code::Forbidden => "; zcmd list shows what this token may do",
        Code::Unconfirmed => " (zcmd os --yes)",
        Code::Cancelled if error.executed == Some(false) => "; nothing ran",
        _ => "",
    };
    format!("{}{wait}{hint}", error.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ended::{Exited, Signaled};

    fn ran(end: Ended) -> Ran {
        let (stdout, stderr, duration, truncated, success) = Default::default();
        Ran { end, stdout, stderr, duration, truncated, success }
    }

    fn error(code: Code, executed: Option<bool>, end: Option<Ended>) -> Answer {
        let ran = end.map(ran);
        let message = String::new();
        Answer::Error(Error { code, message, position: None, retry_after: None, executed, ran })
    }

    #[test]
    fn a_command_that_ran_gives_its_own_status() {
        let cases = [
            (Exited(0), 0),
            (Exited(7), 7),
            (Exited(124), 124),
            (Exited(255), 255),
            (Exited(300), 255),
            (Signaled("SIGHUP".into()), 129),
            (Signaled("SIGKILL".into()), 137),
            (Signaled("SIGTERM".into()), 143),
            (Signaled("SIGSYS".into()), 159),
            (Signaled("SIG40".into()), 168),
            (Signaled("SIGNOVEL".into()), 255),
        ];
        for (end, status) in cases {
            assert_eq!(of(&Answer::Ran(ran(end.clone())), true), status, "{end:?}");
        }
        assert_eq!(of(&Answer::Result("1".into()), false), 0);
        for (code, success, status) in [(3, true, 0), (0, true, 0), (0, false, 1), (2, false, 2)] {
            let ran = Ran { success: Some(success), ..ran(Exited(code)) };
            assert_eq!(of(&Answer::Ran(ran), true), status, "{code} {success}");
        }
    }

    #[test]
    fn an_error_says_whether_anything_ran() {
        use Code::*;
        let cases = [
            (error(BadExpression, None, None), false, 1),
            (error(TimedOut, Some(true), Some(Signaled("SIGKILL".into()))), true, 124),
            (error(TimedOut, Some(false), None), true, 125),
            (error(Cancelled, Some(true), Some(Signaled("SIGINT".into()))), true, 130),
            (error(Cancelled, Some(true), Some(Exited(0))), true, 143),
            (error(Cancelled, Some(true), Some(Exited(3))), true, 3),
            (error(Cancelled, Some(false), None), true, 125),
            (error(Forbidden, Some(false), None), true, 126),
            (error(Forbidden, None, None), false, 126),
            (error(NotStarted, Some(false), None), true, 126),
            (error(UnknownCommand, Some(false), None), true, 127),
            (error(Internal, Some(false), None), true, 125),
            (error(Internal, None, None), true, 255),
            (error(Internal, None, None), false, 125),
            (error(Internal, Some(true), None), true, 255),
            (error(ShuttingDown, Some(true), None), true, 255),
        ];
        for (answer, os, status) in cases {
            assert_eq!(of(&answer, os), status, "{answer:?}");
        }
        let refusals = [Malformed, TooLarge, Unauthorized, BadParameter, RateLimited, Busy];
        for code in refusals.into_iter().chain([NotFound, ShuttingDown]) {
            assert_eq!(of(&error(code, Some(false), None), true), 125, "{code:?}");
        }
    }
}
