//! The schema of the commands file, held in step with what the daemon takes.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zcmd::service::commands::Commands;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/commands.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn parse(entry: Value) -> Result<Commands, Vec<String>> {
    Commands::parse(&json!({"a": entry}).to_string())
}

/// The keys that the daemon says it knows, where it is given one that it does not.
fn known(entry: Value) -> BTreeSet<String> {
    let faults = parse(entry).expect_err("an unknown key is refused");
    let list = faults[0].split("known here: ").nth(1).unwrap();
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_schema_has_the_keys_that_the_daemon_knows() {
    let entry = &schema()["additionalProperties"];
    assert_eq!(keys(&entry["properties"]), known(json!({"run": ["/x"], "unknown": 1})));
    let item = &entry["properties"]["parameters"]["items"];
    let types = item["properties"]["type"]["enum"].as_array().unwrap();
    assert_eq!(types.len(), 10);
    for name in types {
        let mut expected = keys(&item["properties"]);
        for case in item["allOf"].as_array().unwrap() {
            if case["if"]["properties"]["type"]["const"] == *name {
                expected.extend(keys(&case["then"]["properties"]));
            }
        }
        let parameter = json!({"name": "p", "type": name, "of": ["x"], "under": "/",
                               "pattern": "x", "unknown": 1});
        let mut parameter = parameter;
        for key in ["of", "under", "pattern"] {
            if !expected.contains(key) {
                parameter.as_object_mut().unwrap().remove(key);
            }
        }
        let found = known(json!({"run": ["/x", "{p}"], "parameters": [parameter]}));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_ranges_of_the_schema_are_those_of_the_daemon() {
    let properties = schema()["additionalProperties"]["properties"].clone();
    for (key, rule) in properties.as_object().unwrap() {
        for (bound, beyond) in [("minimum", -1_i64), ("maximum", 1)] {
            let Some(number) = rule[bound].as_i64() else { continue };
            let entry = |number: i64| parse(json!({"run": ["/x"], key.as_str(): number}));
            assert!(entry(number).is_ok(), "{key}={number}");
            assert!(entry(number + beyond).is_err(), "{key}={}", number + beyond);
        }
    }
}

#[test]
fn the_commands_of_the_quickstart_are_lawful() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/commands.json");
    Commands::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
}
