//! Any bytes through the reader of JSON: what it takes and what it refuses is what `serde_json`
//! takes by the same rules, and each value is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zcmd::protocol::json::{Json, Kind, Object};
use zcmd_fuzz::{Opinion, opinion, printable};

fuzz_target!(|text: &[u8]| {
    let object = Json::parse_object(text).and_then(Object::strict);
    if let Err(fault) = &object {
        assert!(fault.position <= text.len(), "{fault}");
        assert!(printable(&fault.message), "{fault:?}");
    }
    match (&object, opinion(text)) {
        (Ok(object), Opinion::Lawful(Value::Object(theirs))) => {
            assert_eq!(object.members().count(), theirs.len());
            for (name, ours) in object.members() {
                assert!(same(ours, &theirs[name]), "{name}: {} {}", ours.text(), theirs[name]);
            }
        }
        (Ok(_), Opinion::None) => {}
        (Ok(_), other) => panic!("taken here, not by serde_json: {other:?}"),
        (Err(fault), Opinion::Lawful(Value::Object(_))) => panic!("taken by serde_json: {fault}"),
        (Err(_), _) => {}
    }
});

fn same(ours: Json<'_>, theirs: &Value) -> bool {
    match theirs {
        Value::Null => ours.kind() == Kind::Null,
        Value::Bool(theirs) => ours.boolean() == Ok(*theirs),
        Value::String(theirs) => ours.string().is_ok_and(|ours| ours == *theirs),
        Value::Array(theirs) => ours.array().is_ok_and(|ours| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(*a, b))
        }),
        Value::Object(theirs) => ours.object().is_ok_and(|ours| {
            let members = ours.members().map(|(name, value)| same(value, &theirs[name]));
            ours.members().count() == theirs.len() && members.fold(true, |all, one| all && one)
        }),
        Value::Number(theirs) => {
            let integers = match (theirs.as_u64(), theirs.as_i64()) {
                (Some(number), _) => ours.integer() == Ok(number),
                (_, Some(number)) => ours.integer() == Ok(number),
                _ => true,
            };
            // serde_json's doubles may be one off in the last place.
            let (a, b) = (ours.real(), theirs.as_f64().unwrap_or(f64::NAN));
            integers && a.is_ok_and(|a| (a - b).abs() <= a.abs() * 1e-15 + f64::MIN_POSITIVE)
        }
    }
}
