//! How the daemon ends, and how it reloads.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;
use zcmd::system::signals::is_ignored;

use crate::house::{House, code, folder, is_alive, kill, receive, sh, skip, until, zcmdd};

pub(crate) const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

#[test]
fn sigterm_drains_and_every_command_is_answered() {
    let mut house = House::new(json!({"talk": sh("sleep 0.5; echo done")}));
    let (busy, other) = (house.dealer(), house.dealer());
    house.send(&busy, json!({"command_type": "os", "command_name": "talk"}));
    until("a running command", || (!house.logged("command_accepted").is_empty()).then_some(()));
    house.signal(SIGTERM);
    until("the drain", || (!house.logged("draining").is_empty()).then_some(()));
    house.send(&other, json!({"command_type": "ping"}));
    assert_eq!(code(&receive(&other)), "shutting_down");
    assert_eq!(receive(&busy)["result"]["stdout"], "done\n");
    assert_eq!(house.wait().code(), Some(0));
    assert_eq!(house.logged("stopped").len(), 1);
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_nothing_running() {
    let mut house = House::new(json!({"sleep": sh("echo $$; exec sleep 300")}));
    let socket = house.dealer();
    house.send(&socket, json!({"command_type": "os", "command_name": "sleep", "stream": true}));
    let pid = receive(&socket)["data"].as_str().unwrap().trim().to_owned();
    house.signal(SIGTERM);
    until("the drain", || (!house.logged("draining").is_empty()).then_some(()));
    assert!(is_alive(&pid));
    house.signal(SIGTERM);
    house.wait();
    until("the end of the command", || (!is_alive(&pid)).then_some(()));
}

#[test]
fn commands_end_with_a_client_that_is_told_to_end() {
    for (signal, status) in [(SIGTERM, 143), (SIGHUP, 129)] {
        if is_ignored(signal) {
            skip("a signal is ignored, as under nohup(1)");
            continue;
        }
        let house = House::new(json!({"sleep": sh("echo $$; exec sleep 300")}));
        let mut client = house.zcmd(&["os", "sleep"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        // It stays open: a reader that leaves ends the command as well.
        let mut out = BufReader::new(client.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        kill(i32::try_from(client.id()).unwrap(), signal);
        let end = until("the end of the client", || client.try_wait().unwrap());
        assert_eq!(end.code(), Some(status));
        until("the end of the command", || (!is_alive(line.trim())).then_some(()));
    }
}

#[test]
fn commands_end_with_a_daemon_that_is_killed() {
    let mut house = House::new(json!({"sleep": sh("echo $$; exec sleep 300")}));
    let socket = house.dealer();
    house.send(&socket, json!({"command_type": "os", "command_name": "sleep", "stream": true}));
    let pid = receive(&socket)["data"].as_str().unwrap().trim().to_owned();
    house.signal(SIGKILL);
    house.wait();
    until("the end of the command", || (!is_alive(&pid)).then_some(()));
}

#[test]
fn requests_that_came_before_the_end_are_answered() {
    let mut house = House::new(json!({}));
    let socket = house.dealer();
    for id in 0..100 {
        house.send(&socket, json!({"command_type": "compute", "expression": "1", "id": id}));
    }
    // The first answer shows that the others are on their way.
    assert_eq!(receive(&socket)["id"], 0);
    house.signal(SIGTERM);
    for id in 1..100 {
        let reply = receive(&socket);
        assert_eq!(reply["id"], id);
        assert!(reply["status"] == "ok" || code(&reply) == "shutting_down", "{reply}");
    }
    assert_eq!(house.wait().code(), Some(0));
}

#[test]
fn old_wound_requests_that_were_on_their_way_at_the_end_were_not_answered() {
    let mut house = House::new(json!({}));
    let socket = house.dealer();
    house.send(&socket, json!({"command_type": "ping"}));
    assert_eq!(receive(&socket)["status"], "ok");
    house.signal(SIGTERM);
    // Each comes when the last one was answered, so that none is there before the end begins.
    for id in 0..5 {
        house.send(&socket, json!({"command_type": "ping", "id": id}));
        let reply = receive(&socket);
        assert!(reply["status"] == "ok" || code(&reply) == "shutting_down", "{reply}");
    }
    assert_eq!(house.wait().code(), Some(0));
}

#[test]
fn old_wound_a_reload_with_a_bad_file_changes_nothing() {
    let house = House::new(json!({"one": sh("echo 1")}));
    let write = |text: &str| fs::write(house.path("commands.json"), text).unwrap();
    write("{\"one\": {\"run\": [\"echo\"]}}");
    house.signal(SIGHUP);
    until("the refusal", || (!house.logged("reload_refused").is_empty()).then_some(()));
    let faults = &house.logged("reload_refused")[0]["faults"];
    let wanted = "commands.json:1:18: one.run[0]: must be an absolute";
    assert!(faults[0].as_str().unwrap().contains(wanted), "{faults}");
    assert_eq!(house.os("one", &[])["result"]["stdout"], "1\n");
    write(&json!({"two": sh("echo 2")}).to_string());
    house.signal(SIGHUP);
    until("the reload", || (!house.logged("reloaded").is_empty()).then_some(()));
    assert_eq!(house.os("two", &[])["result"]["stdout"], "2\n");
    assert_eq!(code(&house.os("one", &[])), "unknown_command");
}

#[test]
fn old_wound_a_revoked_tokens_command_went_on() {
    let place = folder();
    let revoked = place.join("revoked").display().to_string();
    fs::write(&revoked, "").unwrap();
    let house = House::with(
        json!({"sleep": sh("echo $$; exec sleep 300")}),
        &[("REVOKED_TOKENS_FILE", &revoked)],
    );
    let output = zcmdd(&[("JWT_SECRET_KEY_FILE", &house.path("key")), ("JWT_ISSUER", "us")])
        .args(["token", "--sub", "test", "--scope", "os:*"])
        .output()
        .unwrap();
    let token = String::from_utf8(output.stdout).unwrap();
    let sleeper = house.dealer();
    let request = json!({"command_type": "os", "command_name": "sleep", "stream": true,
                         "token": token.trim_end()});
    house.send(&sleeper, request);
    let pid = receive(&sleeper)["data"].as_str().unwrap().trim().to_owned();
    let accepted = house.logged("command_accepted").remove(0);
    assert_eq!((&accepted["issuer"], &accepted["subject"]), (&json!("us"), &json!("test")));
    fs::write(&revoked, format!("  {} \t\n\n", accepted["jti"].as_str().unwrap())).unwrap();
    house.signal(SIGHUP);
    let reply = receive(&sleeper);
    assert_eq!((code(&reply), &reply["error"]["executed"]), ("unauthorized", &json!(true)));
    until("the end of the command", || (!is_alive(&pid)).then_some(()));
    let reloaded = house.logged("reloaded").remove(0);
    let counts = ["keys", "revoked", "commands"].map(|name| reloaded[name].as_u64());
    assert_eq!(counts, [Some(1); 3], "{reloaded}");
    assert_eq!(house.logged("command_ended")[0]["reason"], "revoked");
    fs::remove_dir_all(place).unwrap();
}
