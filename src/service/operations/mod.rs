//! The operations: what a request can ask for, one file for each `command_type`.
//!
//! Promises: `ALL` is the only list of them. Decoder, dispatch, counters, errors, help and tests
//! read it. To add an operation takes a file with an `OPERATION`, its `mod` line and its place in
//! `ALL`. No handler runs before the token holds, the scope includes the operation, and the
//! limiter has agreed.
//! Leaves out: framing, tokens, and the sending of answers.

mod cancel;
mod compute;
mod jobs;
mod list;
mod os;
mod ping;
mod status;
mod version;
mod view;
mod watch;

use crate::port::{Action, LogState, Moment, Subject};
use crate::protocol::encode;
use crate::protocol::envelope::Envelope;
use crate::protocol::json::{Fault, Object, echo};
use crate::protocol::reply::Answer;
use crate::service::access::caller::Caller;
use crate::service::access::throttle::Throttle;
use crate::service::counters::Counters;
use crate::service::jobs::{Closed, Jobs};
use crate::service::origin::Origin;
use crate::service::policy::Policy;
use crate::service::refusal::Refusal;
use crate::service::settings::Settings;
use crate::service::watchers::Watchers;
pub use view::View;
pub use watch::next_frame;

/// All operations, in the order in which help and documents show them.
pub const ALL: &[&Operation] = &[
    &compute::OPERATION,
    &os::OPERATION,
    &list::OPERATION,
    &status::OPERATION,
    &ping::OPERATION,
    &jobs::OPERATION,
    &cancel::OPERATION,
    &watch::OPERATION,
    &version::OPERATION,
];

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The `command_type` on the wire, and the name in counters and logs.
    pub name: &'static str,
    /// The fields that it takes besides `command_type`, `id` and `token`.
    pub fields: &'static [&'static str],
    /// The word that the scope of the token must include; none when a valid token is enough, or
    /// when the handler decides on the word.
    pub scope: Option<&'static str>,
    /// Whether the limiter is asked first. A handler without a limit asks it itself if need be.
    pub limited: bool,
    /// What it does, in one line.
    pub about: &'static str,
    /// Reads its fields and does it.
    pub run: Run,
}

/// A handler: an answer, or none if a job was opened that will answer.
pub type Run = fn(&mut Call<'_>, &Object<'_>) -> Result<Option<Answer>, Refusal>;

/// What a handler may use.
#[derive(Debug)]
pub struct Call<'a> {
    /// The time.
    pub now: &'a Moment,
    /// Who asks.
    pub caller: &'a Caller,
    /// The caller's token.
    pub token: &'a str,
    /// Where the answer goes.
    pub origin: &'a Origin,
    /// What the files say.
    pub policy: &'a Policy,
    /// What the variables say.
    pub settings: &'a Settings,
    /// The commands that run or wait.
    pub jobs: &'a mut Jobs,
    /// The requests that are answered at an interval.
    pub watchers: &'a mut Watchers,
    /// Counts since the start.
    pub counters: &'a Counters,
    /// The state of the log.
    pub log: &'a LogState,
    /// Requests of each subject.
    pub callers: &'a mut Throttle<Subject>,
    /// Whether the daemon was asked to stop.
    pub draining: bool,
    /// Jobs that the handler has closed; they are answered before this request.
    pub closed: Vec<Closed>,
    /// Watchers that the handler has taken out; they are answered before this request.
    pub unwatched: Vec<Origin>,
    /// The actions that follow.
    pub out: &'a mut Vec<Action>,
}

impl Call<'_> {
    /// Charges the caller for a request.
    ///
    /// # Errors
    /// The caller has used up its limit; or the daemon drains, and begins nothing new.
    pub fn charge(&mut self) -> Result<(), Refusal> {
        let taken = self.callers.take(self.caller.subject(), self.now.uptime);
        taken.map_err(Refusal::RateLimited)?;
        if self.draining { Err(Refusal::ShuttingDown) } else { Ok(()) }
    }

    /// Runs an operation for the caller.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn run(
        &mut self,
        operation: &Operation,
        fields: &Object<'_>,
    ) -> Result<Option<Answer>, Refusal> {
        if operation.limited {
            self.charge()?;
        }
        operation.permit(self.caller)?;
        (operation.run)(self, fields)
    }
}

/// The operation that a request names, if it takes the fields that are there; its name is put in
/// `kind` as soon as it is known.
///
/// # Errors
/// There is no such operation, or it does not take a field.
pub fn find(envelope: &Envelope<'_>, kind: &mut &'static str) -> Result<&'static Operation, Fault> {
    let Some(operation) = named(&envelope.kind) else {
        let names: Vec<&str> = ALL.iter().map(|operation| operation.name).collect();
        let unknown = echo(&envelope.kind);
        let message = format!("command_type: unknown {unknown}; use one of {}", names.join(", "));
        return Err(envelope.wrong_kind(message));
    };
    *kind = operation.name;
    envelope.only(operation.fields).map(|()| operation)
}

/// The operation of this name.
pub fn named(name: &str) -> Option<&'static Operation> {
    ALL.iter().find(|operation| operation.name == name).copied()
}

/// An answer that is this value as JSON.
fn result(value: &impl serde::Serialize) -> Answer {
    Answer::Result(String::from_utf8_lossy(&encode(value)).into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::port::Peer;
    use crate::protocol::request::{Ask, Id, Os, Request, Values};
    use crate::protocol::token::Keys;
    use crate::service::access::authority::{Authority, Revoked};
    use crate::service::access::scope;
    use crate::service::commands::Commands;
    use crate::service::counters::CommandCounts;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    const COMMANDS: &str = r#"{"sleep": {"run": ["/bin/sleep"]}}"#;

    /// What an operation answers to a caller with this scope: `ok` and the result, or the code of
    /// an error and its message; or `opened` and how many jobs run and wait.
    fn answered(scope: &str, name: &str, body: &str) -> String {
        let read = |name: &str| (name == "JWT_SECRET_KEY").then(|| KEY.into());
        let settings = Settings::read(&read).unwrap();
        let policy = Policy {
            authority: Authority {
                rules: settings.tokens.clone(),
                keys: Keys::parse(KEY).unwrap(),
                revoked: Revoked::default(),
                clients: None,
                roles: Default::default(),
            },
            commands: Commands::parse(COMMANDS).unwrap(),
        };
        let now = Moment { uptime: Duration::from_secs(1), unix: Duration::ZERO };
        let peer = Peer { envelope: vec![], address: None, key: None };
        let origin = Origin::unread(peer);
        let (caller, mut out) = (Caller::imagined(scope), Vec::new());
        let mut call = Call {
            now: &now,
            caller: &caller,
            token: "",
            origin: &origin,
            policy: &policy,
            settings: &settings,
            jobs: &mut Jobs::new(settings.commands),
            watchers: &mut Watchers::default(),
            counters: &Counters::default(),
            log: &LogState::default(),
            callers: &mut Throttle::new(settings.rate, 1),
            draining: false,
            closed: Vec::new(),
            unwatched: Vec::new(),
            out: &mut out,
        };
        let operation = named(name).unwrap();
        let fields = crate::protocol::json::Json::parse_object(body.as_bytes()).unwrap();
        match call.run(operation, &fields) {
            Ok(Some(Answer::Result(text))) => format!("ok {text}"),
            Ok(None) => {
                let CommandCounts { running, waiting } = call.jobs.counts();
                format!("opened ({running}, {waiting})")
            }
            Ok(other) => format!("{other:?}"),
            Err(refusal) => {
                let error = refusal.into_error(false);
                format!("{} {}", error.code.name(), error.message)
            }
        }
    }

    /// As `answered`, for a caller who may do everything.
    fn answer(name: &str, body: &str) -> String {
        answered("compute os:* status", name, body)
    }

    #[test]
    fn every_operation_needs_the_scope_that_it_says() {
        for operation in ALL {
            let Some(word) = operation.scope else { continue };
            assert!(scope::OPERATIONS.contains(&word), "{word} can be in no token");
            let refused = answered("os:* other", operation.name, "{}");
            assert!(refused.starts_with("forbidden "), "{}: {refused}", operation.name);
            let allowed = answered(word, operation.name, "{}");
            assert!(!allowed.starts_with("forbidden "), "{}: {allowed}", operation.name);
        }
    }

    #[test]
    fn what_the_client_writes_is_what_the_operations_take() {
        let os = Os {
            name: "sleep".into(),
            parameters: Values {
                ordered: vec!["a b".into(), "\u{0}\"é".into()],
                named: [("x".into(), vec!["1".into()]), ("y".into(), vec!["2".into(), "3".into()])]
                    .into(),
            },
            stdin: b"x\n".to_vec(),
            timeout: Some(Duration::from_millis(1500)),
            stream: true,
            explain: true,
            confirmed: true,
        };
        let variables = vec![("x".into(), "1e3".into())];
        let cases = [
            (Ask::Compute { expression: "x+1".into(), variables }, "ok 1001"),
            (
                Ask::Os(Os { stdin: b"\xff\0".to_vec(), ..os.clone() }),
                "bad_parameter there is no parameter \"x\"; this command takes none",
            ),
            (Ask::Os(os), "bad_parameter there is no parameter \"x\"; this command takes none"),
            (Ask::Os(Os { name: "sleep".into(), ..Os::default() }), "opened (1, 0)"),
            (Ask::List, r#"ok {"compute":true"#),
            (Ask::Status, r#"ok {"version":"#),
            (Ask::Ping, r#"ok {"version":"#),
            (Ask::Cancel { target: Some(Id::Text("7".into())), job: None }, "not_found "),
        ];
        for (ask, wanted) in cases {
            for id in [None, Some(Id::Number(-7)), Some(Id::Text("é".into()))] {
                let request = Request { id: id.clone(), token: "t.t.t".into(), ask: ask.clone() };
                let body = request.encode();
                let envelope = Envelope::read(&body).unwrap();
                assert_eq!((&envelope.id, envelope.token.as_ref()), (&id, "t.t.t"));
                let operation = find(&envelope, &mut "").unwrap();
                let found = answer(operation.name, std::str::from_utf8(&body).unwrap());
                assert!(found.starts_with(wanted), "{ask:?}: {found}");
            }
        }
    }

    #[test]
    fn an_unknown_operation_or_field_is_told_with_the_known_ones() {
        let cases = [
            (
                r#"{"command_type":"nope"}"#,
                "command_type: unknown \"nope\"; use one of compute, os, list, status, ping, \
                 jobs, cancel, watch, version (at byte 16)",
            ),
            (
                r#"{"command_type":"list","x":1}"#,
                "unknown field \"x\"; known here: command_type, id, token (at byte 27)",
            ),
        ];
        for (body, message) in cases {
            let envelope = Envelope::read(body.as_bytes()).unwrap();
            assert_eq!(find(&envelope, &mut "").unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn version_tells_all_requests() {
        let names: Vec<String> = ALL.iter().map(|known| format!("{:?}", known.name)).collect();
        let wanted = format!("\"requests\":[{}]}}", names.join(","));
        let found = answer("version", "{}");
        assert!(found.starts_with("ok {\"version\":") && found.ends_with(&wanted), "{found}");
    }

    #[test]
    fn a_value_comes_with_its_text_where_it_is_asked_for() {
        // Not a double: a reader that makes one of it gets ...992.
        let body = |more: &str| format!(r#"{{"expression":"2^53+1"{more}}}"#);
        let cases = [
            ("", "ok 9007199254740993"),
            (r#","text":false"#, "ok 9007199254740993"),
            (r#","text":true"#, r#"Some(Number("9007199254740993"))"#),
        ];
        for (more, wanted) in cases {
            assert_eq!(answer("compute", &body(more)), wanted);
        }
    }

    #[test]
    fn a_bad_field_is_named() {
        let cases = [
            (
                "os",
                r#"{"command_name":"a","parameters":["x",1]}"#,
                "malformed parameters[1]: expected a string, found a number (at byte 38)",
            ),
            (
                "os",
                r#"{"command_name":"a","stdin":"a","stdin_base64":"YQ=="}"#,
                "malformed both stdin and stdin_base64 (at byte 47)",
            ),
            (
                "os",
                r#"{"command_name":"a","stdin_base64":"YQ"}"#,
                "malformed stdin_base64: expected padded base64 (at byte 35)",
            ),
            (
                "os",
                &format!(r#"{{"command_name":"a","stdin_base64":"{}"}}"#, "AAAA".repeat(43_691)),
                "too_large stdin_base64: 131073 bytes; at most 131072 are allowed (at byte 35)",
            ),
            (
                "os",
                r#"{"command_name":"a","parameters":{"x":["1",null]}}"#,
                "malformed parameters.\"x\"[1]: expected a string, found null (at byte 43)",
            ),
            (
                "os",
                r#"{"command_name":"a","parameters":{"":"1","":["1"]}}"#,
                "malformed parameters: the member \"\" is there twice (at byte 44)",
            ),
            (
                "os",
                &format!(
                    r#"{{"command_name":"a","parameters":{{"x":[{}"1"]}}}}"#,
                    r#""1","#.repeat(64)
                ),
                "too_large parameters.\"x\": 65 values; at most 64 are allowed (at byte 38)",
            ),
            (
                "os",
                r#"{"command_name":"a","parameters":"x"}"#,
                "malformed parameters: expected an array, found a string (at byte 33)",
            ),
            (
                "os",
                r#"{"command_name":"a","timeout_ms":0}"#,
                "malformed timeout_ms: must be at least 1 (at byte 33)",
            ),
            ("cancel", "{}", "malformed the field target is missing (at byte 0)"),
            ("compute", "{}", "malformed the field expression is missing (at byte 0)"),
            (
                "compute",
                r#"{"expression":"x","variables":{"x":"1"}}"#,
                "malformed variables: \"x\" must be a number, not a string (at byte 35)",
            ),
            (
                "compute",
                r#"{"expression":"1","text":"yes"}"#,
                "malformed text: expected a boolean, found a string (at byte 25)",
            ),
            (
                "compute",
                &format!(r#"{{"expression":"{}"}}"#, "1".repeat(4097)),
                "too_large expression: 4097 bytes; at most 4096 are allowed (at byte 14)",
            ),
        ];
        for (name, body, wanted) in cases {
            assert_eq!(answer(name, body), wanted);
        }
    }
}
