//! `zcmd jobs`, `zcmd cancel` and `--watch` against the real daemon.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{self, House, sh, until};

fn text(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Starts `zcmd` and reads its lines.
fn lines_of(house: &House, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut client = house.zcmd(arguments);
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = client.stdout.take().unwrap();
    (client, BufReader::new(stdout).lines())
}

fn jobs(house: &House) -> Vec<Value> {
    let reply = house.ask(json!({"command_type": "jobs"}));
    reply["result"]["jobs"].as_array().expect("jobs").clone()
}

#[test]
fn jobs_are_shown_and_cancelled_by_id_and_by_number_and_by_an_admin() {
    let house = House::new(json!({
        "sleep": sh("echo begun; exec sleep 60"),
        "hush": {"run": ["/bin/sh", "-c", "echo begun; exec sleep 60", "{pin}"],
                 "parameters": [{"name": "pin", "type": "word", "secret": true}]},
    }));
    let none = text(&house.run(&["jobs"]));
    assert_eq!(none, (Some(0), "no command runs or waits\n".into(), String::new()));

    let begun = |id: &str| house.zcmd(&["--id", id, "os", "sleep"]).spawn().unwrap();
    let mut clients = [begun("a"), begun("b"), begun("c")];
    let secret = house.zcmd(&["os", "hush", "pin-1234"]).spawn().unwrap();
    let all = |count| {
        until("the commands", || {
            let jobs = jobs(&house);
            // One that has not begun is cancelled before it runs, and says so.
            let begun = jobs.iter().filter(|job| job["stdout_bytes"] == 6);
            (begun.count() == count && jobs.len() == count).then_some(jobs)
        })
    };
    let running = all(4);
    let number = |id: &str| {
        let job = running.iter().find(|job| job["id"] == id || job["command"] == id);
        job.expect(id)["job"].to_string()
    };
    let (status, table, _) = text(&house.run(&["jobs"]));
    assert_eq!((status, table.lines().count()), (Some(0), 5), "{table}");
    assert!(table.starts_with("JOB  ID") && table.contains("running"), "{table}");
    assert!(!table.contains("pin-1234"), "{table}");
    let (_, json, _) = text(&house.run(&["--json", "jobs"]));
    let parsed: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["result"]["jobs"].as_array().map(Vec::len), Some(4), "{json}");

    let (status, _, error) = text(&house.run(&["cancel", "a", "no such", "--job", &number("b")]));
    let wanted = "[not_found] no command or watch that you may end has this id: no such\n";
    assert_eq!((status, error), (Some(125), format!("zcmd: {wanted}")));
    let ended: Vec<_> = clients[..2].iter_mut().map(|c| c.wait().unwrap().code()).collect();
    assert_eq!(ended, [Some(143), Some(143)]);
    all(2);

    // Another subject, without and with `admin`.
    let as_other = |scope: &str, arguments: &[&str]| {
        let key = std::fs::read_to_string(house.path("key")).unwrap();
        let (_, secret) = key.lines().next().unwrap().split_once(':').unwrap();
        let token = house::zcmdd(&[("JWT_SECRET_KEY", secret)])
            .args(["token", "--sub", "other", "--scope", scope])
            .output();
        let token = String::from_utf8(token.unwrap().stdout).unwrap();
        let mut zcmd = house.zcmd(arguments);
        text(&zcmd.env_remove("ZCMD_TOKEN_FILE").env("ZCMD_TOKEN", token.trim()).output().unwrap())
    };
    assert_eq!(as_other("os:*", &["jobs"]).1, "no command runs or waits\n");
    let job = number("c");
    let (status, _, error) = as_other("os:*", &["cancel", "--job", &job]);
    assert!(status == Some(125) && error.contains(&format!(": --job {job}\n")), "{error}");
    let (_, table, _) = as_other("admin", &["jobs"]);
    assert!(table.contains("SUBJECT") && table.contains(" test "), "{table}");
    assert!(!table.contains("pin-1234"), "{table}");
    assert_eq!(as_other("admin", &["cancel", "--job", &job]).0, Some(0));
    assert_eq!(clients[2].wait().unwrap().code(), Some(143));
    let logged = house.logged("cancelled");
    assert_eq!(logged.len(), 1, "that of another only");
    let [who, of, command] = ["subject", "of", "command"].map(|name| &logged[0][name]);
    assert_eq!((who, of, command), (&json!("other"), &json!("test"), &json!("sleep")));
    assert_eq!(as_other("admin", &["cancel", "--job", &number("hush")]).0, Some(0));
    assert_eq!(secret.wait_with_output().unwrap().status.code(), Some(143));
}

#[test]
fn a_watch_tells_on_until_ctrl_c_a_cancel_a_reader_that_leaves_or_the_daemons_end() {
    let house = House::new(json!({}));
    let ends: [(&str, &[&str], i32, &str); 4] = [
        ("ctrl-c", &["status", "--watch"], 130, ""),
        ("cancel", &["--id", "w", "jobs", "--watch=1"], 125, "[cancelled] the watch was cancelled"),
        ("reader", &["status", "--watch"], 141, ""),
        // A program reads the error on standard output.
        ("drain", &["--json", "status", "--watch=1.5"], 125, ""),
    ];
    for (end, arguments, status, why) in ends {
        let (mut client, mut lines) = lines_of(&house, arguments);
        let first = lines.next().unwrap().unwrap();
        assert!(lines.next().unwrap().is_ok(), "{end}: a second line after {first}");
        match end {
            "ctrl-c" => house::kill(client.id().try_into().unwrap(), 2),
            "cancel" => assert_eq!(house.run(&["cancel", "w"]).status.code(), Some(0)),
            "reader" => drop(lines),
            _ => {
                let event: Value = serde_json::from_str(&first).unwrap();
                assert_eq!(event["status"], "event");
                assert_eq!(event["result"]["cleartext"], false, "the answer to status: {event}");
                house.signal(15);
                let last = lines.last().unwrap().unwrap();
                assert!(last.contains(r#""code":"shutting_down""#), "{last}");
            }
        }
        let ended = until("the end of the client", || client.try_wait().unwrap());
        let mut error = String::new();
        std::io::Read::read_to_string(&mut client.stderr.take().unwrap(), &mut error).unwrap();
        assert_eq!(ended.code(), Some(status), "{end}: {error}");
        assert!(error.contains(why) && error.is_empty() == why.is_empty(), "{end}: {error}");
    }
}

#[test]
fn a_daemon_whose_watcher_has_left_does_not_wake() {
    let house = House::new(json!({}));
    let (mut client, mut lines) = lines_of(&house, &["status", "--watch"]);
    assert!(lines.next().is_some_and(|line| line.is_ok()));
    client.kill().unwrap();
    client.wait().unwrap();
    let wakes = || house.proc_status("voluntary_ctxt_switches");
    until("quiet", || {
        let before = wakes();
        std::thread::sleep(Duration::from_millis(2500));
        (wakes() == before).then_some(())
    });
}
