//! What a command gets, and what it leaves behind.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::house::{House, code, folder, is_alive, receive, sh, until};

#[test]
fn old_wound_a_grandchild_neither_hangs_the_request_nor_survives() {
    let house = House::new(json!({
        "background": sh("sleep 300 & echo $!"),
        "stubborn": {
            "run": ["/bin/sh", "-c", "trap '' TERM; sleep 300 & echo $!; while :; do sleep 1; done"],
            "timeout_seconds": 1, "grace_seconds": 1
        },
    }));
    let reply = house.os("background", &[]);
    let pid = reply["result"]["stdout"].as_str().unwrap().trim().to_owned();
    assert_eq!(reply["result"]["exit_code"], 0);
    until("the end of the grandchild", || (!is_alive(&pid)).then_some(()));

    let reply = house.os("stubborn", &[]);
    assert_eq!((code(&reply), &reply["result"]["signal"]), ("timed_out", &json!("SIGKILL")));
    assert_eq!(reply["error"]["executed"], true);
    let pid = reply["result"]["stdout"].as_str().unwrap().trim().to_owned();
    until("the end of the grandchild", || (!is_alive(&pid)).then_some(()));
}

#[test]
fn old_wound_nothing_of_the_daemon_reaches_a_command() {
    let house = House::new(json!({
        "env": {"run": ["/usr/bin/env"], "env": {"OWN": "x"}},
        "descriptors": sh("for f in /proc/self/fd/*; do echo ${f##*/}; done"),
        "state": {"run": ["/bin/sh", "-c", "umask; ulimit -c; ulimit -n; grep -c 'NoNewPrivs:.1' /proc/self/status; pwd"],
                  "open_files_max": 64, "cwd": "/tmp"},
    }));
    let stdout = |name| house.os(name, &[])["result"]["stdout"].as_str().unwrap().to_owned();
    let environment = stdout("env");
    let (own, mark) = environment.split_once("ZCMD_JOB=").unwrap();
    assert_eq!(own, "LANG=C.UTF-8\nOWN=x\nPATH=/usr/bin:/bin\n");
    assert_eq!(mark.lines().count(), 1, "{mark}");
    // The shell that reads the directory has it open itself.
    let descriptors = stdout("descriptors");
    assert!(descriptors.lines().all(|name| ["0", "1", "2", "3"].contains(&name)), "{descriptors}");
    assert_eq!(stdout("state"), "0077\n0\n64\n1\n/tmp\n");
}

#[test]
fn old_wound_output_over_the_cap_is_counted_and_not_held() {
    let house = House::new(json!({
        "zeros": {"run": ["/usr/bin/head", "-c", "200000000", "/dev/zero"], "output_bytes_max": 1000},
        "quiet": sh(":"),
    }));
    house.os("quiet", &[]);
    let before = house.proc_status("VmHWM");
    let reply = house.os("zeros", &[]);
    let result = &reply["result"];
    assert_eq!(result["truncated"], json!({"stdout_bytes": 200_000_000, "stderr_bytes": 0}));
    // A thousand bytes, in base64: JSON would make six thousand of them.
    assert_eq!(result["stdout_base64"].as_str().unwrap().len(), 1336);
    let grown = house.proc_status("VmHWM") - before;
    assert!(grown < 12_000, "{grown} KiB more than before");
}

#[test]
fn standard_input_arrives_whole_and_is_nobody_elses_trouble() {
    let house = House::new(json!({
        "sum": {"run": ["/usr/bin/sha256sum"]},
        "deaf": sh("exec sleep 0.2"),
    }));
    let text = "0123456789abcdef".repeat(8192);
    let ask = |name: &str, stdin: &str| {
        house.ask(json!({"command_type": "os", "command_name": name, "stdin": stdin}))
    };
    let expected = {
        use std::process::{Command, Stdio};
        let mut child =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(ask("sum", &text)["result"]["stdout"], expected);
    assert_eq!(ask("deaf", &text)["result"]["exit_code"], 0);
    assert_eq!(code(&ask("sum", &format!("{text}x"))), "too_large");
}

#[test]
fn a_stream_comes_while_the_command_runs() {
    let house = House::new(json!({"talk": sh("echo one; read line; echo two; exit 3")}));
    let socket = house.dealer();
    house.send(
        &socket,
        json!({"command_type": "os", "command_name": "talk", "stream": true, "id": 1}),
    );
    let mut said = String::new();
    let last = loop {
        let reply = receive(&socket);
        if reply["status"] != "output" {
            break reply;
        }
        said.push_str(reply["data"].as_str().unwrap());
    };
    assert_eq!((said.as_str(), &last["result"]["exit_code"]), ("one\ntwo\n", &json!(3)));
}

#[test]
fn a_path_parameter_stays_beneath_its_directory_whatever_the_links() {
    let place = folder();
    let inside = place.join("inside");
    fs::create_dir_all(&inside).unwrap();
    fs::write(place.join("secret"), "secret").unwrap();
    fs::write(inside.join("file"), "open").unwrap();
    for (link, target) in [("out", "../secret"), ("up", ".."), ("in", "file"), ("none", "../none")]
    {
        std::os::unix::fs::symlink(target, inside.join(link)).unwrap();
    }
    let house = House::new(json!({"cat": {"run": ["/bin/cat", "{f}"],
        "parameters": [{"name": "f", "type": "path", "under": inside}]}}));
    for (path, wanted) in [
        ("file", Some("open")),
        ("in", Some("open")),
        ("out", None),
        ("up/secret", None),
        ("none", None),
    ] {
        let reply = house.os("cat", &[path]);
        match wanted {
            Some(text) => assert_eq!(reply["result"]["stdout"], text, "{path}"),
            None => {
                assert_eq!(code(&reply), "bad_parameter", "{path}");
                assert_eq!(reply["error"]["executed"], false);
            }
        }
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn old_wound_a_secret_stood_in_the_argument_list_of_its_command() {
    let secret = |name: &str, pass: &str| json!({"name": name, "type": "text", "secret": true, "pass": pass});
    let show = "read -r line; read -r second; echo \"$line|$second|$PIN|$0|$1\"; \
                tr '\\0' ' ' < /proc/$$/cmdline";
    let house = House::new(json!({
        "show": {"run": ["/bin/sh", "-c", show, "name", "{open}"], "parameters": [
            {"name": "open", "type": "word"}, secret("first", "stdin"), secret("PIN", "env"),
            secret("second", "stdin")]},
        "wait": {"run": ["/bin/sh", "-c", "echo begun; exec sleep 60"], "parameters": [secret("PIN", "env")]},
    }));
    let values = ["shown", "$(id) 'a", "p;q", "b\"c"];
    let reply = house.os("show", &values);
    let stdout = reply["result"]["stdout"].as_str().unwrap();
    let (said, arguments) = stdout.split_once('\n').unwrap();
    assert_eq!(said, "$(id) 'a|b\"c|p;q|name|shown");
    let is_clean =
        |text: &str| ["$(id)", "p;q", "b\"c", "c3cret"].iter().all(|s| !text.contains(s));
    assert!(is_clean(arguments) && arguments.ends_with("name shown "), "{arguments}");

    let explain = json!({"command_type": "os", "command_name": "show", "parameters": values,
                         "explain": true});
    let explained = house.ask(explain)["result"].clone();
    assert_eq!(explained["pass_stdin"], json!(["first", "second"]));
    assert_eq!(explained["pass_env"], json!(["PIN"]));
    let with_stdin = json!({"command_type": "os", "command_name": "show", "parameters": values,
                            "stdin": "mine"});
    let refused = house.ask(with_stdin);
    assert_eq!(code(&refused), "bad_parameter", "{refused}");

    // From the client's side: out of a file and out of a pipe, and in no argument list either.
    fs::write(house.path("pin"), "c3cret\n").unwrap();
    let from_file = format!("PIN@{}", house.path("pin"));
    let mut client = house.zcmd(&["--id", "w", "os", "-p", &from_file, "wait"]).spawn().unwrap();
    let jobs = until("the command", || {
        let reply = house.ask(json!({"command_type": "jobs"}));
        (reply["result"]["jobs"][0]["stdout_bytes"] == 6).then_some(reply)
    });
    let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", client.id())).unwrap();
    assert!(is_clean(&cmdline) && is_clean(&jobs.to_string()), "{cmdline} {jobs}");
    assert!(house.run(&["cancel", "w"]).status.success());
    assert_eq!(client.wait().unwrap().code(), Some(143));
    let mut piped = house.zcmd(&["os", "-p", "PIN@-", "-p", "first=x", "show", "y", "z"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"c3cret\n").unwrap();
    let output = piped.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("x|z|c3cret|name|y\n"), "{stdout}");
    let both = house.run(&["os", "--stdin", "-p", "PIN@-", "show", "y"]);
    assert_eq!(both.status.code(), Some(125));
    assert!(is_clean(&explained.to_string()) && is_clean(&house.log()), "{}", house.log());
}
