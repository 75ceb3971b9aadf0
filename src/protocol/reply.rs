//! A reply, encoded into its body and decoded from one.
//!
//! Promises: every reply has a `status`; an error has a code of the table below, each of which is
//! a promise to callers. Output that is not UTF-8, or that JSON would make longer than base64 does,
//! comes as base64; output comes back byte for byte. What decodes does not contradict itself: a
//! command has one end, and each of its streams one spelling and no more bytes than in all.
//! Leaves out: which reply a request gets.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits;
use crate::port::Stream;
use crate::protocol::json::{Fault, Json, Kind, Object, echo};
use crate::protocol::request::{Ask, Id};

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The `id` of its request.
    pub id: Option<Id>,
    /// What became of the request.
    pub answer: Answer,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done; this is the text of its `result`, in JSON.
    Result(String),
    /// A command ran to its end.
    Ran(Ran),
    /// A part of a running command's output. More replies follow.
    Output {
        /// Where the command wrote it to.
        stream: Stream,
        /// What it wrote.
        bytes: Vec<u8>,
    },
    /// It was not done, or was ended.
    Error(Error),
}

/// How a command ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code, or the name of the signal that ended it.
    pub end: Result<i32, String>,
    /// What it wrote to standard output, up to the cap.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the cap.
    pub stderr: Vec<u8>,
    /// From its start to its end.
    pub duration: Duration,
    /// When output was cut: the true sizes of the two streams in bytes.
    pub truncated: Option<(u64, u64)>,
    /// Whether it succeeded, if its entry says which exit codes are success.
    pub success: Option<bool>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind, for programs.
    pub code: Code,
    /// What, where and what to do, for people.
    pub message: String,
    /// For `bad_expression`: offset in bytes.
    pub position: Option<usize>,
    /// For `rate_limited` and `busy`: when to ask again.
    pub retry_after: Option<Duration>,
    /// For commands: whether any of it ran.
    pub executed: Option<bool>,
    /// For a command that was ended: what it had done by then.
    pub ran: Option<Ran>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kinds of errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// Not a request.
    Malformed = "malformed",
    /// Over a limit of size.
    TooLarge = "too_large",
    /// No token, or one that does not hold now.
    Unauthorized = "unauthorized",
    /// The token holds, and does not reach this operation.
    Forbidden = "forbidden",
    /// No such command.
    UnknownCommand = "unknown_command",
    /// A parameter breaks its rule.
    BadParameter = "bad_parameter",
    /// An expression without a value.
    BadExpression = "bad_expression",
    /// Too many requests of this caller.
    RateLimited = "rate_limited",
    /// Too many commands.
    Busy = "busy",
    /// Ended at its time limit.
    TimedOut = "timed_out",
    /// Ended on demand.
    Cancelled = "cancelled",
    /// Nothing to cancel.
    NotFound = "not_found",
    /// The command asks for a confirmation.
    Unconfirmed = "unconfirmed",
    /// The program could not be started.
    NotStarted = "not_started",
    /// The daemon drains.
    ShuttingDown = "shutting_down",
    /// A fault of the daemon.
    Internal = "internal",
}

impl Reply {
    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Body::new();
        if let Some(id) = &self.id {
            body.member("id", id);
        }
        match &self.answer {
            Answer::Result(text) => {
                body.member("status", "ok");
                // It is JSON already: to read it once more would cost as much as the maths.
                body.raw_member("result", text.as_bytes());
            }
            Answer::Ran(ran) => {
                body.member("status", "ok");
                body.member("result", ran);
            }
            Answer::Output { stream, bytes } => {
                body.member("status", "output");
                body.member(
                    "stream",
                    match stream {
                        Stream::Stdout => "stdout",
                        Stream::Stderr => "stderr",
                    },
                );
                let (name, text) = spelled(["data", "data_base64"], bytes);
                body.member(name, text.as_ref());
            }
            Answer::Error(error) => {
                body.member("status", "error");
                body.member("error", error);
                if let Some(ran) = &error.ran {
                    body.member("result", ran);
                }
            }
        }
        body.end()
    }

    /// Reads a body. Members that are not known are passed over: newer daemons may say more.
    ///
    /// # Errors
    /// What is no reply, or contradicts itself.
    pub fn decode(body: &[u8]) -> Result<Self, Fault> {
        let object = Json::parse_object(body)?;
        let id = match object.get("id") {
            Some(json) if json.kind() == Kind::String => {
                Some(Id::Text(json.string()?.into_owned()))
            }
            Some(json) => Some(Id::Number(json.integer()?)),
            None => None,
        };
        let status = need(&object, "status")?;
        let kind = status.string()?;
        let stray = match kind.as_ref() {
            "ok" => ["error", "data", "data_base64"].as_slice(),
            "output" => &["error", "result"],
            _ => &["data", "data_base64"],
        };
        if let Some(json) = stray.iter().find_map(|name| object.get(name)) {
            return Err(json.fault(format!("status {}, and this beside it", echo(&kind))));
        }
        let answer = match kind.as_ref() {
            "ok" => match need(&object, "result")? {
                json if json.kind() == Kind::Object => match ran(&json.object()?)? {
                    Some(ran) => Answer::Ran(ran),
                    None => Answer::Result(json.text().to_owned()),
                },
                json => Answer::Result(json.text().to_owned()),
            },
            "output" => Answer::Output {
                stream: match need(&object, "stream")?.string()?.as_ref() {
                    "stdout" => Stream::Stdout,
                    "stderr" => Stream::Stderr,
                    _ => return Err(need(&object, "stream")?.fault("stream: unknown")),
                },
                bytes: bytes(&object, "data")?,
            },
            "error" => Answer::Error(error(&object)?),
            _ => return Err(status.fault("status: neither ok, output nor error")),
        };
        Ok(Reply { id, answer })
    }
}

impl Answer {
    /// Whether such a request may be answered so.
    pub fn answers(&self, ask: &Ask) -> bool {
        match (self, ask) {
            (Self::Error(_), _) => true,
            (_, Ask::Compute { .. }) => self.answers_expression(),
            (Self::Ran(_), Ask::Os(os)) => !os.explain,
            (Self::Output { .. }, Ask::Os(os)) => os.stream && !os.explain,
            (Self::Result(_), Ask::Os(os)) => os.explain,
            (Self::Result(_), _) => true,
            (Self::Ran(_) | Self::Output { .. }, _) => false,
        }
    }

    /// Whether an expression may be answered so: with a finite number, or an error.
    pub fn answers_expression(&self) -> bool {
        match self {
            Self::Error(_) => true,
            Self::Result(json) => {
                Json::parse(json.as_bytes()).is_ok_and(|json| json.real().is_ok())
            }
            Self::Ran(_) | Self::Output { .. } => false,
        }
    }
}

fn need<'a>(object: &Object<'a>, name: &str) -> Result<Json<'a>, Fault> {
    object
        .get(name)
        .ok_or_else(|| Fault { position: 0, message: format!("no {name} in the reply") })
}

fn error(object: &Object<'_>) -> Result<Error, Fault> {
    let error = need(object, "error")?.object()?;
    let name = need(&error, "code")?.string()?;
    let code = Code::ALL.iter().copied().find(|code| code.name() == name);
    let retry_after = error.get("retry_after_ms").map(Json::integer).transpose()?;
    let executed = error.get("executed").map(Json::boolean).transpose()?;
    if let (Some(json), Some(false)) = (object.get("result"), executed) {
        return Err(json.fault("a result of what was not executed"));
    }
    Ok(Error {
        code: code.unwrap_or(Code::Internal),
        message: need(&error, "message")?.string()?.into_owned(),
        position: error.get("position").map(Json::integer).transpose()?,
        retry_after: retry_after.map(Duration::from_millis),
        executed,
        ran: match object.get("result") {
            Some(json) => ran(&json.object()?)?,
            None => None,
        },
    })
}

/// Reads how a command ran; none when the object tells of something else.
fn ran(object: &Object<'_>) -> Result<Option<Ran>, Fault> {
    let end = match (object.get("exit_code"), object.get("signal")) {
        (Some(_), Some(signal)) => return Err(signal.fault("both exit_code and signal")),
        (Some(code), None) => Ok(code.integer::<u8>()?.into()),
        (None, Some(signal)) => Err(signal.string()?.into_owned()),
        (None, None) => return Ok(None),
    };
    let (stdout, stderr) = (bytes(object, "stdout")?, bytes(object, "stderr")?);
    let truncated = match object.get("truncated") {
        Some(json) => {
            let totals = json.object()?;
            let total = |name| need(&totals, name).and_then(|json| json.integer());
            let (out, err) = (total("stdout_bytes")?, total("stderr_bytes")?);
            if out < stdout.len() as u64 || err < stderr.len() as u64 {
                return Err(json.fault("truncated: fewer bytes in all than came"));
            }
            Some((out, err))
        }
        None => None,
    };
    Ok(Some(Ran {
        end,
        stdout,
        stderr,
        duration: Duration::from_millis(need(object, "duration_ms")?.integer()?),
        truncated,
        success: object.get("success").map(Json::boolean).transpose()?,
    }))
}

fn bytes(object: &Object<'_>, name: &str) -> Result<Vec<u8>, Fault> {
    match object.get(&format!("{name}_base64")) {
        Some(json) if object.get(name).is_some() => {
            Err(json.fault(format!("both {name} and {name}_base64")))
        }
        Some(json) => STANDARD
            .decode(json.string()?.as_bytes())
            .map_err(|_| json.fault(format!("{name}_base64: not base64"))),
        None => Ok(need(object, name)?.string()?.into_owned().into_bytes()),
    }
}

/// An object that is being written, member by member.
struct Body(Vec<u8>);

impl Body {
    fn new() -> Self {
        // Room for most answers but those of commands.
        Self(Vec::with_capacity(128))
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.raw_member(name, b"");
        // Strings, numbers and maps with names for keys cannot fail to be written to memory.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// Writes a member whose value is JSON already.
    fn raw_member(&mut self, name: &str, value: &[u8]) {
        self.0.extend(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend(name.bytes());
        self.0.extend(b"\":");
        self.0.extend(value);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

impl Serialize for Ran {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        match &self.end {
            Ok(code) => out.serialize_entry("exit_code", code)?,
            Err(signal) => out.serialize_entry("signal", signal)?,
        }
        let streams = [
            spelled(["stdout", "stdout_base64"], &self.stdout),
            spelled(["stderr", "stderr_base64"], &self.stderr),
        ];
        for (name, text) in streams {
            out.serialize_entry(name, &text)?;
        }
        out.serialize_entry("duration_ms", &self.duration.as_millis())?;
        if let Some((stdout, stderr)) = self.truncated {
            let totals = [("stdout_bytes", stdout), ("stderr_bytes", stderr)];
            out.serialize_entry("truncated", &super::Members(&totals))?;
        }
        if let Some(success) = self.success {
            out.serialize_entry("success", &success)?;
        }
        out.end()
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("code", self.code.name())?;
        out.serialize_entry("message", &self.message)?;
        if let Some(position) = self.position {
            out.serialize_entry("position", &position)?;
        }
        if let Some(retry_after) = self.retry_after {
            // Rounded up: to wait this long always suffices.
            out.serialize_entry("retry_after_ms", &retry_after.as_nanos().div_ceil(1_000_000))?;
        }
        if let Some(executed) = self.executed {
            out.serialize_entry("executed", &executed)?;
        }
        out.end()
    }
}

/// How bytes are spelled: as text or as base64, each with its name.
fn spelled<'a>([text, base64]: [&'static str; 2], bytes: &'a [u8]) -> (&'static str, Cow<'a, str>) {
    match std::str::from_utf8(bytes) {
        Ok(utf8) if is_short_in_json(utf8) => (text, Cow::Borrowed(utf8)),
        _ => (base64, Cow::Owned(STANDARD.encode(bytes))),
    }
}

/// Whether a text in JSON (RFC 8259, 7) is not longer than it is in base64, or short.
fn is_short_in_json(text: &str) -> bool {
    let length = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..=31 => 6,
        _ => 1,
    };
    let length: usize = text.bytes().map(length).sum();
    length <= limits::ESCAPED_BYTES_MAX.max(text.len().div_ceil(3) * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(end: Result<i32, String>, stdout: &[u8]) -> Ran {
        let duration = Duration::from_millis(12);
        let (truncated, success) = Default::default();
        Ran { end, stdout: stdout.to_vec(), stderr: vec![], duration, truncated, success }
    }

    #[test]
    fn old_wound_a_reply_that_contradicts_itself() {
        let ran = |rest: &str| format!(r#"{{"duration_ms":1,"stderr":"",{rest}}}"#);
        let ok = |rest: &str| format!(r#"{{"status":"ok","result":{}}}"#, ran(rest));
        let failed = |error: &str, rest: &str| {
            format!(r#"{{"status":"error","error":{{"message":"m","code":{error}}}{rest}}}"#)
        };
        let cases = [
            (ok(r#""stdout":"","exit_code":0,"signal":"SIGKILL""#), "both exit_code and signal"),
            (ok(r#""stdout":"","exit_code":256"#), "in range"),
            (ok(r#""stdout":"","exit_code":-1"#), "in range"),
            (ok(r#""stdout":"","stdout_base64":"","exit_code":0"#), "both stdout and"),
            (
                ok(r#""stdout":"ab","exit_code":0,
                    "truncated":{"stdout_bytes":1,"stderr_bytes":0}"#),
                "fewer bytes in all than came",
            ),
            (
                r#"{"status":"ok","result":1,"error":{"code":"busy","message":""}}"#.into(),
                "beside it",
            ),
            (r#"{"status":"output","stream":"stdout","data":"","result":1}"#.into(), "beside it"),
            (failed(r#""busy""#, r#","data":"x""#), "beside it"),
            (
                failed(
                    r#""timed_out","executed":false"#,
                    &format!(r#","result":{}"#, ran(r#""stdout":"","exit_code":0"#)),
                ),
                "not executed",
            ),
            (failed(r#""busy","retry_after_ms":-1"#, ""), "in range"),
            (failed(r#""busy","retry_after_ms":1e3"#, ""), "in range"),
            (failed(r#""bad_expression","position":-1"#, ""), "in range"),
        ];
        for (body, message) in cases {
            let fault = Reply::decode(body.as_bytes()).expect_err(&body);
            assert!(fault.message.contains(message), "{body}: {fault}");
        }
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
            ran: Some(Ran { truncated: Some((9, 0)), ..ran(Err("SIGTERM".into()), b"x") }),
            ..plain.clone()
        };
        let same = |answer: Answer| (answer.clone(), answer);
        let cases = [
            (same(Answer::Result("10".into())), r#"{"id":7,"status":"ok","result":10}"#),
            (
                same(Answer::Ran(ran(Ok(0), b"\xff"))),
                r#"{"id":7,"status":"ok","result":{"exit_code":0,"stdout_base64":"/w==","stderr":"","duration_ms":12}}"#,
            ),
            (
                same(Answer::Ran(Ran { success: Some(true), ..ran(Ok(3), b"") })),
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
            let answer = Answer::Ran(ran(Ok(0), text.as_bytes()));
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
