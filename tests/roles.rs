//! Tokens and roles, as the owner of a host makes them.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;

use house::{House, code, folder, sh, until, zcmdd};
use serde_json::json;

const SIGHUP: i32 = 1;
const KEY: (&str, &str) = ("JWT_SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyz");

#[test]
fn old_wound_zcmdd_token_signed_any_word_and_any_lifetime() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--scope", "comptue os:*"], 64, "no scope word \"comptue\": did you mean compute?"),
        (&["--scope", "os:a,os:b"], 64, "there is no scope word \"os:a,os:b\""),
        (
            &["--scope", "x y"],
            64,
            "\"y\"; known are compute, status, admin, os:NAME, os:GROUP.*, os:*",
        ),
        (
            &["--minutes", "525601"],
            64,
            "more than 525600, a year; if it is meant, add --long-lived",
        ),
        (&["--minutes", "525601", "--long-lived"], 0, ""),
        (&["--minutes", "525600"], 0, ""),
        (&["--scope", " compute  os:a.* os:a.b status role:ops "], 0, "the role ops is not in"),
        (&["--scope", ""], 0, ""),
    ];
    for (arguments, status, told) in cases {
        let output = zcmdd(&[KEY]).args(["token", "--sub", "a"]).args(*arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {text}");
        assert!(text.contains(told) && text.is_empty() == told.is_empty(), "{text}");
        assert_eq!(output.stdout.is_empty(), *status != 0);
    }
    for arguments in [["token", "--help"], ["keygen", "-h"]] {
        let output = zcmdd(&[]).args(arguments).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(b"zcmdd: run the commands"));
    }
}

#[test]
fn a_role_gives_what_this_host_says() {
    let place = folder();
    let roles = place.join("roles");
    let write = |text: &str| fs::write(&roles, text).unwrap();
    write("# Those who look after backups.\nbackup os:backup.* status\n");
    let path = roles.display().to_string();
    let commands = json!({
        "run": {"run": ["/bin/echo", "ran"], "scope_group": "backup"}, "other": sh("echo other"),
    });
    let house = House::with(commands, &[("ROLES_FILE", &path)]);
    assert_eq!(house.logged("started")[0]["roles"], 1);
    let with = |scope: &str, mut request: serde_json::Value| {
        request["token"] = house.token(scope).into();
        house.ask(request)
    };
    let os =
        |scope: &str, name: &str| with(scope, json!({"command_type": "os", "command_name": name}));
    assert_eq!(os("role:backup", "run")["result"]["stdout"], "ran\n");
    assert_eq!(with("role:backup", json!({"command_type": "status"}))["status"], "ok");
    assert_eq!(code(&os("role:backup", "other")), "forbidden");
    assert_eq!(code(&os("role:none", "run")), "forbidden");
    let refused = house.logged("refused").pop().unwrap();
    let told = refused["reason"].as_str().unwrap();
    assert!(told.ends_with("; its role none is not in ROLES_FILE"), "{refused}");
    let listed = with("role:backup", json!({"command_type": "list"}));
    assert_eq!(listed["result"]["commands"].as_array().unwrap().len(), 1, "{listed}");

    // The tokens stay, and their holders get the new command.
    write("backup os:backup.* os:other\n");
    house.signal(SIGHUP);
    until("the reload", || (house.logged("reloaded").len() == 1).then_some(()));
    assert_eq!(os("role:backup", "other")["result"]["stdout"], "other\n");
    assert_eq!(code(&with("role:backup", json!({"command_type": "status"}))), "forbidden");
    write("backup os:backup.* role:x\nbackup\n");
    house.signal(SIGHUP);
    until("the refusal", || (house.logged("reload_refused").len() == 1).then_some(()));
    let faults = house.logged("reload_refused")[0]["faults"].clone();
    assert!(faults[0].as_str().unwrap().starts_with("ROLES_FILE: line 1: role:x: "), "{faults}");
    assert_eq!(faults.as_array().unwrap().len(), 3, "{faults}");

    let token = |scope: &str| {
        write("backup os:backup.*\n");
        let mut token = zcmdd(&[KEY, ("ROLES_FILE", &path)]);
        let output = token.args(["token", "--sub", "a", "--scope", scope]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(token("role:backup"), "");
    let told = token("role:bakcup");
    assert!(told.contains(&format!("the role bakcup is not in {path}")), "{told}");
    fs::remove_dir_all(place).unwrap();
}
