//! Any bytes through the reader of requests: what decodes says the same as `serde_json` does, and
//! is the same after it was written and read again; what does not decode has a place and a message
//! that may be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zcmd::limits;
use zcmd::protocol::request::{Ask, Id, Request, Undecoded};
use zcmd_fuzz::{lenient, printable};

fuzz_target!(|body: &[u8]| {
    match Request::decode(body) {
        Ok(request) => {
            compare(&request, body);
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        Err(Undecoded { fault, id, .. }) => {
            assert!(fault.position <= body.len(), "{fault}");
            assert!(printable(&fault.message) && fault.message.len() < 512, "{fault:?}");
            assert!(id.as_ref().is_none_or(short), "{id:?}");
        }
    }
});

fn short(id: &Id) -> bool {
    match id {
        Id::Text(text) => text.len() <= limits::ID_BYTES_MAX,
        Id::Number(number) => (i64::MIN.into()..=u64::MAX.into()).contains(number),
    }
}

fn compare(request: &Request, body: &[u8]) {
    assert!(request.id.as_ref().is_none_or(short), "{:?}", request.id);
    // None: a number that no double holds.
    let Some(theirs) = lenient(body) else { return };
    assert_eq!(theirs["command_type"], request.ask.kind());
    assert_eq!(theirs["token"].as_str().unwrap_or_default(), request.token);
    match &request.ask {
        Ask::Compute { expression, variables } => {
            assert_eq!(theirs["expression"], **expression);
            assert!(expression.len() <= limits::EXPRESSION_BYTES_MAX);
            let count = theirs["variables"].as_object().map_or(0, serde_json::Map::len);
            assert_eq!(count, variables.len());
            for (name, _) in variables {
                assert!(theirs["variables"][name.as_str()].is_number(), "{name}");
            }
        }
        Ask::Os(os) => {
            assert_eq!(theirs["command_name"], *os.name);
            let parameters = theirs.get("parameters").and_then(|list| list.as_array());
            assert_eq!(parameters.map_or(0, Vec::len), os.parameters.len());
            assert!(parameters.into_iter().flatten().eq(&os.parameters));
            assert_eq!(theirs["stdin"].as_str().unwrap_or_default(), os.stdin);
            let timeout = theirs["timeout_ms"].as_u64();
            assert_eq!(timeout.map(std::time::Duration::from_millis), os.timeout);
            assert_eq!(theirs["stream"].as_bool().unwrap_or_default(), os.stream);
            assert_eq!(theirs["explain"].as_bool().unwrap_or_default(), os.explain);
        }
        Ask::Cancel { target } => assert!(short(target) && theirs.get("target").is_some()),
        Ask::List | Ask::Status | Ask::Ping => {}
    }
}
