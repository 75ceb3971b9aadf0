//! Every reason for refusing or ending a request: the one place where errors of all parts meet.
//!
//! Promises: each refusal becomes exactly one error on the wire, through one exhaustive match, and
//! has one exact reason for the log. The error for a stranger never says why a token is invalid.
//! Leaves out: when to refuse.

use std::time::Duration;

use crate::limits;
use crate::port::Misframing;
use crate::protocol::envelope::Wrong;
use crate::protocol::json::Fault;
use crate::protocol::reply::{Code, Error, Ran};
use crate::protocol::token::Unopened;
use crate::service::maths::BadExpression;

/// Why a request failed or was ended.
#[derive(Debug)]
pub enum Refusal {
    /// The layout of the message is invalid.
    Misframed(Misframing),
    /// The body is not a request.
    Malformed(Fault),
    /// A field of the request exceeds its limit.
    TooLarge(Fault),
    /// The token is not valid.
    Unauthorized(Unopened),
    /// The token is not valid any more, and the command that it had started was ended.
    Expelled(Unopened, Box<Ran>),
    /// The caller's bucket is empty for this time.
    RateLimited(Duration),
    /// The scope of the token does not include this word.
    Forbidden(String),
    /// The token does not reach this scope, and this host has not this role of its.
    UnknownRole(String, String),
    /// There is no command of this name; the permitted one that was perhaps meant.
    UnknownCommand(String, Option<String>),
    /// A parameter breaks its rule.
    BadParameter(String),
    /// The command of this name asks for a confirmation, and the request has none.
    Unconfirmed(String),
    /// The expression has no value.
    BadExpression(BadExpression),
    /// A variable's name cannot be used.
    BadVariable(String),
    /// No more commands can wait; the earliest time at which one must have ended.
    Busy(Duration),
    /// The command did not start within its time limit; the earliest time at which a place must be
    /// free.
    NoTurn(Duration),
    /// No more requests can be answered at an interval.
    TooManyWatchers,
    /// The watch was cancelled.
    Unwatched,
    /// The caller has no command with this id.
    NotFound,
    /// The daemon is shutting down.
    ShuttingDown,
    /// The program did not start: the step, and the error of the operating system.
    NotStarted(String, String),
    /// The command was ended at its time limit; `None` if it had not started.
    TimedOut(Option<Ran>),
    /// The command was cancelled, or ended because the daemon stopped; `None` if it had not
    /// started.
    Cancelled(Option<Ran>),
    /// The log cannot take the line about the command, and the owner requires that line.
    Unlogged,
    /// An internal error, at this place of the source.
    Internal(String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Malformed(fault)
    }
}

impl From<Wrong> for Refusal {
    fn from(Wrong { fault, too_large }: Wrong) -> Self {
        if too_large { Self::TooLarge(fault) } else { Self::Malformed(fault) }
    }
}

impl Refusal {
    /// The code on the wire.
    pub fn code(&self) -> Code {
        match self {
            Self::Misframed(Misframing::TooManyBytes) | Self::TooLarge(_) => Code::TooLarge,
            Self::Misframed(_) | Self::Malformed(_) => Code::Malformed,
            Self::Unauthorized(_) | Self::Expelled(..) => Code::Unauthorized,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Forbidden(_) | Self::UnknownRole(..) => Code::Forbidden,
            Self::UnknownCommand(..) => Code::UnknownCommand,
            Self::BadParameter(_) => Code::BadParameter,
            Self::Unconfirmed(_) => Code::Unconfirmed,
            Self::BadExpression(_) | Self::BadVariable(_) => Code::BadExpression,
            Self::Busy(_) | Self::NoTurn(_) | Self::TooManyWatchers => Code::Busy,
            Self::NotFound => Code::NotFound,
            Self::ShuttingDown => Code::ShuttingDown,
            Self::NotStarted(..) => Code::NotStarted,
            Self::TimedOut(_) => Code::TimedOut,
            Self::Cancelled(_) | Self::Unwatched => Code::Cancelled,
            Self::Unlogged | Self::Internal(_) => Code::Internal,
        }
    }

    /// The message for the caller.
    fn message(&self) -> String {
        match self {
            Self::Misframed(fault) => framing(*fault),
            Self::Malformed(fault) | Self::TooLarge(fault) => fault.to_string(),
            Self::Unauthorized(_) => {
                "no valid token; ask the owner of this host for one (zcmdd token)".to_owned()
            }
            Self::Expelled(..) => {
                "the token is not valid any more, and the command was ended".to_owned()
            }
            Self::RateLimited(_) => "too many requests".to_owned(),
            Self::Forbidden(scope) | Self::UnknownRole(scope, _) => {
                format!("the token's scope does not include {scope}; ask the owner to add it")
            }
            Self::UnknownCommand(name, Some(meant)) => {
                format!("there is no command {name}; did you mean {meant}?")
            }
            Self::UnknownCommand(name, None) => {
                format!("there is no command {name}; `list` shows the commands")
            }
            Self::Unconfirmed(name) => {
                format!("the command {name} asks for a confirmation: send \"confirmed\": true")
            }
            Self::BadParameter(why) | Self::BadVariable(why) => why.clone(),
            Self::BadExpression(why) => why.to_string(),
            Self::Busy(_) => "too many commands wait already".to_owned(),
            Self::NoTurn(_) => "the command did not get its turn within its time limit".to_owned(),
            Self::TooManyWatchers => "too many watch already; end another watch first".to_owned(),
            Self::Unwatched => "the watch was cancelled".to_owned(),
            Self::NotFound => "no command or watch that you may end has this id".to_owned(),
            Self::ShuttingDown => "the daemon is shutting down; try another host".to_owned(),
            Self::NotStarted(..) => {
                "the program could not be started; the daemon's log says why".to_owned()
            }
            Self::TimedOut(_) => "the command was ended at its time limit".to_owned(),
            Self::Cancelled(Some(_)) => "the command was cancelled while it ran".to_owned(),
            Self::Cancelled(None) => "the command was cancelled before it started".to_owned(),
            Self::Unlogged => {
                "the log of this host cannot be written, and without a line in it no command starts"
                    .to_owned()
            }
            Self::Internal(_) => "a fault of the daemon; its log says where".to_owned(),
        }
    }

    /// The exact reason, for the log.
    pub fn reason(&self) -> String {
        match self {
            Self::Unauthorized(why) | Self::Expelled(why, _) => why.0.to_owned(),
            Self::Internal(at) => format!("panic at {at}"),
            Self::NotStarted(step, reason) => format!("{step}: {reason}"),
            Self::UnknownRole(_, role) => {
                format!("{}; its role {role} is not in ROLES_FILE", self.message())
            }
            _ => self.message(),
        }
    }

    /// The error on the wire; `os` says whether the request asked for a command.
    pub fn into_error(self, os: bool) -> Error {
        let (code, message) = (self.code(), self.message());
        let mut error = Error {
            code,
            message,
            position: None,
            retry_after: None,
            executed: os.then_some(false),
            ran: None,
        };
        match self {
            Self::BadExpression(why) => error.position = Some(why.position()),
            Self::RateLimited(wait) | Self::Busy(wait) | Self::NoTurn(wait) => {
                error.retry_after = Some(wait)
            }
            Self::TimedOut(Some(ran)) | Self::Cancelled(Some(ran)) => {
                error.executed = Some(true);
                error.ran = Some(ran);
            }
            Self::Expelled(_, ran) => {
                error.executed = Some(true);
                error.ran = Some(*ran);
            }
            // Whether the command ran is unknown.
            Self::Internal(_) => error.executed = None,
            _ => {}
        }
        error
    }
}

fn framing(fault: Misframing) -> String {
    match fault {
        Misframing::SeveralBodies => {
            "more than one frame after the envelope; send one body in one frame".to_owned()
        }
        Misframing::EmptyBody => "the body is empty; send one JSON object".to_owned(),
        Misframing::TooManyFrames => {
            format!("a message has at most {} frames", limits::MESSAGE_FRAMES_MAX)
        }
        Misframing::LongEnvelope => format!(
            "a frame before the body has more than {} bytes",
            limits::ENVELOPE_FRAME_BYTES_MAX
        ),
        Misframing::TooManyBytes => {
            format!("a message has at most {} bytes", limits::MESSAGE_BYTES_MAX)
        }
    }
}
