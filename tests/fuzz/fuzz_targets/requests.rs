//! Any bytes through the whole service: every message is answered exactly once or opens a command,
//! and whether its fields are lawful is what a plain model on `serde_json` says.
#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use zcmd::limits;
use zcmd::port::{Action, Ending, Event, JobId, Moment, Peer};
use zcmd::protocol::envelope::Envelope;
use zcmd::protocol::request::Id;
use zcmd::protocol::token::{Claims, Keys};
use zcmd::service::Service;
use zcmd::service::access::authority::Authority;
use zcmd::service::commands::Commands;
use zcmd::service::policy::Policy;
use zcmd::service::settings::Settings;
use zcmd_fuzz::{lenient, printable};

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const COMMANDS: &str = r#"{"a": {"run": ["/bin/true"]}}"#;
const NOW: Moment =
    Moment { uptime: Duration::from_secs(1), unix: Duration::from_secs(1_900_000_000) };

thread_local! {
    static DAEMON: RefCell<(Service, String)> = RefCell::new(daemon());
}

/// A service without limits on requests, and a token that includes all.
fn daemon() -> (Service, String) {
    let settings = Settings::read(&|name| match name {
        "JWT_SECRET_KEY" => Some(KEY.into()),
        "MAX_REQUESTS_PER_MINUTE" => Some("0".into()),
        _ => None,
    });
    let keys = Keys::parse(KEY).expect("a key");
    let claims = Claims {
        subject: "a".to_owned(),
        scope: Some("compute os:* status".to_owned()),
        expires: 2_000_000_000.0,
        ..Claims::default()
    };
    let token = keys.sign(&claims);
    let commands = Commands::parse(COMMANDS).expect("commands");
    let (rules, revoked, roles) = Default::default();
    let authority = Authority { rules, keys, revoked, clients: None, roles };
    (Service::new(settings.expect("settings"), Policy { authority, commands }), token)
}

fuzz_target!(|body: &[u8]| {
    match Envelope::read(body) {
        Ok(envelope) => assert!(envelope.id.as_ref().is_none_or(short), "{:?}", envelope.id),
        Err((id, fault)) => {
            assert!(fault.position <= body.len(), "{fault}");
            assert!(printable(&fault.message) && fault.message.len() < 512, "{fault:?}");
            assert!(id.as_ref().is_none_or(short), "{id:?}");
        }
    }
    DAEMON.with_borrow_mut(|(service, token)| {
        assert_ne!(code(service, body), "internal");
        // None: a number that no double holds, or no object.
        let Some(Value::Object(mut fields)) = lenient(body) else { return };
        fields.insert("token".to_owned(), token.as_str().into());
        let found = code(service, Value::Object(fields.clone()).to_string().as_bytes());
        let refused = ["malformed", "too_large"].contains(&found.as_str());
        assert_eq!(!refused, lawful(&fields), "{found}");
    });
});

/// The code of the one answer, or `ok`; a command that is opened ends at once.
fn code(service: &mut Service, body: &[u8]) -> String {
    let peer = Peer { envelope: vec![b"\0abcd".to_vec()], address: None, key: None };
    let mut out = Vec::new();
    service.handle(&NOW, Event::Message { peer, body: body.to_vec() }, &mut out);
    service.tick(&NOW, &mut out);
    let started = |action: &Action| match action {
        Action::Start { job: JobId(job), .. } => Some(*job),
        _ => None,
    };
    for job in out.iter().filter_map(started).collect::<Vec<_>>() {
        let (job, ending) = (JobId(job), Ending::Exited(0));
        service.handle(&NOW, Event::Ended { job, ending, leftover: false }, &mut out);
    }
    let answers = std::iter::from_fn(|| Some(service.next_reply(&mut out)?.body));
    let codes = answers.map(|answer| {
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answer["error"]["code"].as_str().unwrap_or("ok").to_owned()
    });
    let mut codes: Vec<String> = codes.collect();
    let answer = codes.pop().expect("an answer");
    // A cancel is answered after the watches of earlier inputs that it ends.
    assert!(codes.iter().all(|code| code == "cancelled"), "one answer: {codes:?} {answer}");
    answer
}

fn short(id: &Id) -> bool {
    match id {
        Id::Text(text) => text.len() <= limits::ID_BYTES_MAX,
        Id::Number(number) => (i64::MIN.into()..=u64::MAX.into()).contains(number),
    }
}

/// Whether the fields of a request have the types and sizes that its `command_type` asks for.
fn lawful(fields: &Map<String, Value>) -> bool {
    let text = |value: &Value, max: usize| value.as_str().is_some_and(|text| text.len() <= max);
    let id = |value: &Value| text(value, limits::ID_BYTES_MAX) || value.is_i64() || value.is_u64();
    let flag = |value: &Value| value.is_boolean();
    let variables = |value: &Value| {
        let numbers = value.as_object().map(|object| object.values().all(Value::is_number));
        numbers == Some(true) && value.as_object().is_some_and(|v| v.len() <= limits::VARIABLES_MAX)
    };
    // How many values there are, if they are texts within bounds.
    let count = |value: &Value| {
        let list = value.as_array()?;
        let lawful = list.iter().all(|value| text(value, limits::PARAMETER_BYTES_MAX));
        (lawful && list.len() <= limits::PARAMETERS_MAX).then_some(list.len())
    };
    let one = |value: &Value| text(value, limits::PARAMETER_BYTES_MAX).then_some(1);
    let parameters = |value: &Value| match value.as_object() {
        Some(named) => {
            let counts = named.values().map(|value| one(value).or_else(|| count(value)));
            let total = counts.sum::<Option<usize>>();
            total.is_some_and(|total| total.max(named.len()) <= limits::PARAMETERS_MAX)
        }
        None => count(value).is_some(),
    };
    let timeout =
        |value: &Value| value.as_u64().is_some_and(|ms| (1..=u64::from(u32::MAX)).contains(&ms));
    let (needed, known): (&[&str], &[&str]) =
        match fields.get("command_type").and_then(Value::as_str) {
            Some("compute") => (&["expression"], &["expression", "variables", "text"]),
            Some("os") => (
                &["command_name"],
                &[
                    "command_name",
                    "parameters",
                    "stdin",
                    "stdin_base64",
                    "timeout_ms",
                    "stream",
                    "explain",
                    "confirmed",
                ],
            ),
            Some("cancel") if fields.contains_key("job") => (&["job"], &["job"]),
            Some("cancel") => (&["target"], &["target"]),
            Some("watch") => (&["what"], &["what", "every_ms"]),
            Some("jobs" | "list" | "ping" | "status" | "version") => (&[], &[]),
            _ => return false,
        };
    needed.iter().all(|name| fields.contains_key(*name))
        && fields.iter().all(|(name, value)| match name.as_str() {
            "command_type" | "token" => true,
            "id" => id(value),
            other if !known.contains(&other) => false,
            "expression" => text(value, limits::EXPRESSION_BYTES_MAX),
            "variables" => variables(value),
            "command_name" => text(value, limits::NAME_BYTES_MAX),
            "parameters" => parameters(value),
            "stdin" => text(value, limits::STDIN_BYTES_MAX),
            "stdin_base64" => {
                let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
                bytes.is_some_and(|bytes| bytes.len() <= limits::STDIN_BYTES_MAX)
                    && !fields.contains_key("stdin")
            }
            "timeout_ms" => timeout(value),
            "stream" | "explain" | "confirmed" | "text" => flag(value),
            "job" => value.is_u64(),
            "what" => ["status", "jobs"].map(Some).contains(&value.as_str()),
            "every_ms" => {
                let bounds = limits::WATCH_MS_MIN..=limits::WATCH_MS_MAX;
                value.as_u64().is_some_and(|ms| bounds.contains(&ms))
            }
            _ => id(value),
        })
}
