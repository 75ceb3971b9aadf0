//! A reply, encoded into its body and decoded from one.
//!
//! Promises: every reply has a `status`; an error has a code of the table in `code`. Output is
//! returned byte for byte. Leaves out: which reply a request gets.

mod code;
mod read;
mod write;

use std::time::Duration;

pub use code::Code;

use crate::port::{Ended, OutputBytes, Stream};
use crate::protocol::json::Json;
use crate::protocol::request::{Ask, Id};

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The `id` of its request.
    pub id: Option<Id>,
    /// The outcome of the request.
    pub answer: Answer,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Success; the text of its `result`, in JSON.
    Result(String),
    /// An expression's value, in JSON, for a caller who asked for its `text`: sent as `result` and,
    /// since many languages read a number as a double, as a string beside it. It is read as
    /// `Result`.
    Number(String),
    /// A command ended by itself.
    Ran(Ran),
    /// A piece of a running command's output. More replies follow.
    Output {
        /// The stream.
        stream: Stream,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The state of what is watched, in JSON. More replies follow.
    Event(String),
    /// The request failed or was ended.
    Error(Error),
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: Ended,
    /// What it wrote to standard output, up to the cap.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the cap.
    pub stderr: Vec<u8>,
    /// The time from its start to its end.
    pub duration: Duration,
    /// If output was cut: the full sizes of the two streams in bytes.
    pub truncated: Option<OutputBytes>,
    /// Whether it succeeded, if its entry lists the exit codes of success.
    pub success: Option<bool>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind of error, for programs.
    pub code: Code,
    /// What is wrong, where, and what to do, for people.
    pub message: String,
    /// For `bad_expression`: the offset in bytes.
    pub position: Option<usize>,
    /// For `rate_limited` and `busy`: the time to wait before the next try.
    pub retry_after: Option<Duration>,
    /// For commands: whether any part of it ran.
    pub executed: Option<bool>,
    /// For a command that was ended: its result so far.
    pub ran: Option<Ran>,
}

impl Answer {
    /// Whether this is a possible reply to such a request.
    pub fn answers(&self, ask: &Ask) -> bool {
        match (self, ask) {
            (Self::Error(_), _) => true,
            (_, Ask::Compute { .. }) => self.answers_expression(),
            (Self::Ran(_), Ask::Os(os)) => !os.explain,
            (Self::Output { .. }, Ask::Os(os)) => os.stream && !os.explain,
            (Self::Result(_), Ask::Os(os)) => os.explain,
            (Self::Event(_), ask) => matches!(ask, Ask::Watch { .. }),
            (Self::Result(_), Ask::Watch { .. }) => false,
            (Self::Result(_), _) => true,
            (Self::Number(_) | Self::Ran(_) | Self::Output { .. }, _) => false,
        }
    }

    /// Whether this is a possible reply to an expression: a finite number, or an error.
    pub fn answers_expression(&self) -> bool {
        match self {
            Self::Error(_) => true,
            Self::Result(json) | Self::Number(json) => {
                Json::parse(json.as_bytes()).is_ok_and(|json| json.real().is_ok())
            }
            Self::Ran(_) | Self::Output { .. } | Self::Event(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn ran(end: Ended, stdout: &[u8]) -> Ran {
        let duration = Duration::from_millis(12);
        let (truncated, success) = Default::default();
        Ran { end, stdout: stdout.to_vec(), stderr: vec![], duration, truncated, success }
    }

    #[test]
    fn every_reply_is_written_as_promised_and_read_back() {
        let id = Some(Id::Number(7));
        let plain = Error {
            code: Code::RateLimited,
            message: "a \"b\"\n".into(),
            position: None,
            retry_after: Some(Duration::from_micros(849_001)),
            executed: None,
            ran: None,
        };
        let read = Error { retry_after: Some(Duration::from_millis(850)), ..plain.clone() };
        let ended = Error {
            code: Code::TimedOut,
            retry_after: None,
            executed: Some(true),
            ran: Some(Ran {
                truncated: Some(OutputBytes { stdout: 9, stderr: 0 }),
                ..ran(Ended::Signaled("SIGTERM".into()), b"x")
            }),
            ..plain.clone()
        };
        let same = |answer: Answer| (answer.clone(), answer);
        let cases = [
            (same(Answer::Result("10".into())), r#"{"id":7,"status":"ok","result":10}"#),
            (
                (Answer::Number("1e300".into()), Answer::Result("1e300".into())),
                r#"{"id":7,"status":"ok","result":1e300,"text":"1e300"}"#,
            ),
            (
                same(Answer::Ran(ran(Ended::Exited(0), b"\xff"))),
                r#"{"id":7,"status":"ok","result":{"exit_code":0,"stdout_base64":"/w==","stderr":"","duration_ms":12}}"#,
            ),
            (
                same(Answer::Ran(Ran { success: Some(true), ..ran(Ended::Exited(3), b"") })),
                r#"{"id":7,"status":"ok","result":{"exit_code":3,"stdout":"","stderr":"","duration_ms":12,"success":true}}"#,
            ),
            (
                same(Answer::Output { stream: Stream::Stderr, bytes: b"a\n".to_vec() }),
                r#"{"id":7,"status":"output","stream":"stderr","data":"a\n"}"#,
            ),
            (
                (Answer::Error(plain), Answer::Error(read)),
                r#"{"id":7,"status":"error","error":{"code":"rate_limited","message":"a \"b\"\n","retry_after_ms":850}}"#,
            ),
            (
                same(Answer::Error(ended)),
                r#"{"id":7,"status":"error","error":{"code":"timed_out","message":"a \"b\"\n","executed":true},"result":{"signal":"SIGTERM","stdout":"x","stderr":"","duration_ms":12,"truncated":{"stdout_bytes":9,"stderr_bytes":0}}}"#,
            ),
        ];
        for ((answer, back), text) in cases {
            let body = Reply { id: id.clone(), answer }.encode();
            assert_eq!(std::str::from_utf8(&body), Ok(text));
            assert_eq!(Reply::decode(&body), Ok(Reply { id: id.clone(), answer: back }));
        }
    }

    #[test]
    fn old_wound_json_makes_six_bytes_of_one() {
        let cases = [
            ("a\"\n".repeat(1000), false),
            ("\0".repeat(limits::ESCAPED_BYTES_MAX / 6), true),
            ("\0".repeat(limits::ESCAPED_BYTES_MAX / 6 + 1), false),
            ("a".repeat(100_000), true),
            ("eight bytes, and an end of the line\n".repeat(1000), true),
            ("\u{7f}é".repeat(10_000), true),
        ];
        for (text, readable) in cases {
            let answer = Answer::Ran(ran(Ended::Exited(0), text.as_bytes()));
            let reply = Reply { id: None, answer };
            let body = reply.encode();
            let found = std::str::from_utf8(&body).unwrap();
            assert_eq!(found.contains("\"stdout\":"), readable, "{found:.80}");
            let most = (text.len().div_ceil(3) * 4).max(limits::ESCAPED_BYTES_MAX) + 100;
            assert!(body.len() <= most, "{} of {}", body.len(), text.len());
            assert_eq!(Reply::decode(&body), Ok(reply));
        }
    }
}
