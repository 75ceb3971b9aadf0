//! Any text as a commands file: no panic, and messages that may be printed. A file that is taken
//! is strict JSON but for comments, and its `list` is JSON that the client reads. What follows a NUL is values for
//! its commands, NUL between them: what may run has as many arguments as `run` has elements, unless
//! a parameter repeats or is optional.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zcmd::client::catalogue::Catalogue;
use zcmd::port::Moment;
use zcmd::protocol::json::Json;
use zcmd::protocol::request::Os;
use zcmd::protocol::token::{Claims, Keys};
use zcmd::service::access::authority::Authority;
use zcmd::service::access::caller::Caller;
use zcmd::service::commands::Commands;
use zcmd::service::settings::CommandLimits;
use zcmd_fuzz::{Opinion, lenient, opinion, printable};

thread_local! {
    static CALLER: Caller = caller();
}

fn caller() -> Caller {
    let keys = Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").expect("a key");
    let claims = Claims {
        subject: "a".to_owned(),
        scope: Some("compute os:*".to_owned()),
        expires: 253_402_300_799.0,
        ..Claims::default()
    };
    let token = keys.sign(&claims);
    let (rules, revoked, roles) = Default::default();
    let authority = Authority { rules, keys, revoked, clients: None, roles };
    let now = Moment { uptime: Duration::from_secs(1), unix: Duration::from_secs(1_800_000_000) };
    authority.identify(&mut Default::default(), None, &token, &now).expect("a caller")
}

/// The text up to `//` in each line, unless that is in a string.
fn without_comments(text: &str) -> String {
    let line = |line: &str| {
        let (mut quoted, mut before) = (false, '\0');
        let begins = |(at, c): (usize, char)| {
            let escaped = before == '\\';
            quoted ^= c == '"' && !(quoted && escaped);
            before = if quoted && escaped { '\0' } else { c };
            (!quoted && line[at..].starts_with("//")).then_some(at)
        };
        let end = line.char_indices().find_map(begins);
        line[..end.unwrap_or(line.len())].to_owned()
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fuzz_target!(|input: &str| {
    let caller = CALLER.with(Caller::clone);
    let mut parts = input.split('\0');
    let text = parts.next().unwrap_or_default();
    let values: Vec<String> = parts.map(str::to_owned).collect();
    let commands = match Commands::parse(text) {
        Ok(commands) => commands,
        Err(faults) => {
            assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.is_empty()));
            return;
        }
    };
    let plain = without_comments(text);
    let strict = opinion(plain.as_bytes());
    assert!(matches!(strict, Opinion::Lawful(_)), "{strict:?}");
    let mut file = lenient(plain.as_bytes()).expect("JSON");
    if let Some(file) = file.as_object_mut() {
        file.retain(|name, entry| !name.starts_with('$') && entry["enabled"] != false);
    }
    let list = zcmd::protocol::encode(&commands.list(&caller));
    let listed = lenient(&list).expect("JSON");
    let count = file.as_object().map(serde_json::Map::len);
    assert_eq!(listed["commands"].as_array().map(Vec::len), count);
    assert!(matches!(opinion(&list), Opinion::Lawful(_)), "{listed}");
    let read = Json::parse(&list).and_then(Catalogue::read).expect("the client reads it");
    assert_eq!(Some(read.commands.len()), count);
    for (name, entry) in file.as_object().into_iter().flatten() {
        let os = Os {
            name: name.clone(),
            parameters: values.iter().cloned().collect(),
            ..Os::default()
        };
        let repeats = entry["parameters"].as_array().into_iter().flatten();
        let varies = |own: &Value| own.get("repeat").is_some() || own["optional"] == true;
        let repeats = repeats.filter(|parameter| varies(parameter)).count() > 0;
        match commands.permit(&caller, &CommandLimits::default(), &os) {
            Ok(permit) => {
                let elements = entry["run"].as_array().map_or(0, Vec::len);
                assert!(repeats || permit.invocation.arguments.len() + 1 == elements);
                assert_eq!(permit.shown.len(), permit.invocation.arguments.len() + 1);
                assert!(lenient(&zcmd::protocol::encode(&permit)).is_some());
            }
            Err(refusal) => assert!(printable(&format!("{refusal:?}"))),
        }
    }
});
