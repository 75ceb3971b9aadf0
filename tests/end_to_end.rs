//! The two real programs over real sockets.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use house::{House, code, folder, is_alive, receive, sh, until, write_secret, zcmdd};
use serde_json::{Value, json};

const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

#[test]
fn a_shell_gets_answers_and_exit_statuses() {
    let house = House::new(json!({
        "seven": sh("printf out; printf err >&2; exit 7"),
        "bytes": sh(r"printf '\377\000a\n'; printf '\200' >&2"),
        "killed": sh("kill -9 $$"),
        "slow": {"run": ["/bin/sleep", "60"], "timeout_seconds": 1},
        "say": {"run": ["/usr/bin/printf", "%s", "{text}"],
                "parameters": [{"name": "text", "type": "text"}]},
        "count": {"run": ["/usr/bin/wc", "-c"]},
        "absent": {"run": ["/nonexistent/program"]},
    }));
    type Case<'a> = (&'a [&'a str], i32, &'a [u8], &'a [u8]);
    let cases: &[Case<'_>] = &[
        (&["compute", "2*(3+4)"], 0, b"14\n", b""),
        (&["compute", "2^100"], 0, b"1267650600228229401496703205376\n", b""),
        (&["os", "seven"], 7, b"out", b"err"),
        (&["os", "bytes"], 0, b"\xff\0a\n", b"\x80"),
        (&["os", "say", "a b; $(id) 'c'"], 0, b"a b; $(id) 'c'", b""),
    ];
    for (arguments, status, stdout, stderr) in cases {
        let output = house.run(arguments);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?} {output:?}");
        assert_eq!((&output.stdout[..], &output.stderr[..]), (*stdout, *stderr), "{arguments:?}");
    }
    let statuses: &[(&[&str], i32)] = &[
        (&["os", "killed"], 137),
        (&["os", "slow"], 124),
        (&["os", "absent"], 126),
        (&["os", "none"], 127),
        (&["os", "say"], 125),
        (&["compute", "1/0"], 1),
        (&["nonsense"], 125),
        (&["ping"], 0),
        (&["list"], 0),
        (&["status"], 0),
    ];
    for (arguments, status) in statuses {
        let output = house.run(arguments);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?} {output:?}");
        assert_eq!(output.stderr.is_empty(), *status == 0 || *status == 137, "{output:?}");
    }
}

#[test]
fn every_envelope_is_answered() {
    let house = House::new(json!({}));
    let ping = || house.body(json!({"command_type": "ping", "id": 1}));

    let req = house.socket(zmq::REQ, &house.ipc);
    req.send(ping(), 0).unwrap();
    assert_eq!(receive(&req)["id"], 1);

    let dealer = house.dealer();
    let bare = dealer.send(ping(), 0).map(|()| dealer.recv_multipart(0).unwrap()).unwrap();
    assert_eq!(bare.len(), 1);
    dealer.send_multipart([b"".to_vec(), ping()], 0).unwrap();
    assert_eq!(dealer.recv_multipart(0).unwrap()[0], b"");
    dealer.send_multipart([b"hop".to_vec(), b"".to_vec(), ping()], 0).unwrap();
    assert_eq!(dealer.recv_multipart(0).unwrap()[..2], [b"hop".to_vec(), b"".to_vec()]);

    // Behind a proxy, as `zmq_proxy` builds it.
    let front = house.context.socket(zmq::ROUTER).unwrap();
    front.bind("inproc://front").unwrap();
    let back = house.dealer();
    let proxy = std::thread::spawn(move || zmq::proxy(&front, &back));
    let client = house.socket(zmq::REQ, "inproc://front");
    client.send(ping(), 0).unwrap();
    assert_eq!(receive(&client)["id"], 1);
    drop(proxy);
}

#[test]
fn old_wound_noise_gets_its_code_and_stops_nothing() {
    let house = House::new(json!({"touch": sh("echo ran >> \"$0\"")}));
    let token = fs::read_to_string(house.path("token")).unwrap();
    let token = token.trim_end();
    let os = format!(r#"{{"command_type":"os","command_name":"touch","token":"{token}"}}"#);
    let twice = format!(r#"{{"command_type":"ping","token":"{token}","token":"{token}"}}"#);
    let brackets = "[".repeat(200_000);
    let nested = format!(r#"{{"command_type":"ping","token":{brackets}"#);
    let large = "x".repeat(270_000);
    let cases: Vec<(Vec<&[u8]>, &str)> = vec![
        (vec![b"\xff"], "malformed"),
        (vec![b""], "malformed"),
        (vec![b"", b""], "malformed"),
        (vec![os.as_bytes(), os.as_bytes()], "malformed"),
        (vec![b"", os.as_bytes(), os.as_bytes()], "malformed"),
        (vec![brackets.as_bytes()], "malformed"),
        (vec![nested.as_bytes()], "malformed"),
        (vec![twice.as_bytes()], "malformed"),
        (vec![large.as_bytes()], "too_large"),
        (vec![b"a"; 40], "malformed"),
        (vec![b"{\"command_type\":\"ping\"}"], "unauthorized"),
        (vec![b"{\"command_type\":\"ping\",\"token\":\"a.b.c\"}"], "unauthorized"),
    ];
    for round in 0..50 {
        for (frames, wanted) in &cases {
            let socket = house.dealer();
            socket.send_multipart(frames.iter().copied(), 0).unwrap();
            let reply = receive(&socket);
            assert_eq!(code(&reply), *wanted, "{round}: {reply}");
        }
    }
    assert_eq!(house.logged("command_accepted").len(), 0, "nothing of two bodies is executed");
    let before = house.proc_status("VmRSS");

    // Too large for a connection: it is dropped, and only it.
    let huge = house.dealer();
    huge.send(vec![b'x'; 60_000_000], 0).unwrap();
    let noises: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xa5; 4096],
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\0NULL",
    ];
    for noise in noises {
        let mut stream = TcpStream::connect(house.tcp.trim_start_matches("tcp://")).unwrap();
        stream.set_read_timeout(Some(house::PATIENCE)).unwrap();
        stream.write_all(noise).unwrap();
        assert_eq!(house.ask(json!({"command_type": "ping"}))["status"], "ok");
        // Whatever the daemon has to say, it is no reply, and the connection ends.
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(!said.windows(6).any(|window| window == b"status"), "{said:?}");
    }
    assert_eq!(house.ask(json!({"command_type": "ping"}))["status"], "ok");
    drop(huge);
    let grown = house.proc_status("VmRSS").saturating_sub(before);
    assert!(grown < 20_000, "{grown} KiB more than before");
}

#[test]
fn old_wound_maths_is_answered_while_eight_commands_sleep() {
    let house = House::with(
        json!({"sleep": sh("exec sleep 300")}),
        &[("MAX_COMMANDS_PER_SUBJECT", "8"), ("SHUTDOWN_GRACE_SECONDS", "0")],
    );
    let sleeper = house.dealer();
    for id in 0..8 {
        house.send(&sleeper, json!({"command_type": "os", "command_name": "sleep", "id": id}));
    }
    until("eight running commands", || {
        let status = house.ask(json!({"command_type": "status"}));
        (status["result"]["commands"]["running"] == 8).then_some(())
    });
    for n in 0..100 {
        let reply = house.ask(json!({"command_type": "compute", "expression": format!("{n}+1")}));
        assert_eq!(reply["result"], n + 1);
    }
}

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
fn old_wound_two_hundred_failed_tokens_change_nothing_for_anybody_else() {
    let house = House::new(json!({}));
    let stranger = house.dealer();
    for id in 0..200 {
        house.send(&stranger, json!({"command_type": "ping", "token": "a.b.c", "id": id}));
    }
    for id in 0..200 {
        let reply = receive(&stranger);
        assert_eq!((code(&reply), &reply["id"]), ("unauthorized", &json!(id)));
        assert!(!reply.to_string().contains("signature"), "why is not told: {reply}");
    }
    assert_eq!(house.ask(json!({"command_type": "ping"}))["status"], "ok");
    let lines = house.logged("refused");
    assert!((1..=10).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines[0]["reason"], "signature is not 43 characters");
    assert_eq!(lines[0]["address"], "127.0.0.1");
}

#[test]
fn old_wound_no_secret_is_in_the_log() {
    let house = House::new(json!({
        "login": {"run": ["/bin/true", "{p}"],
                  "parameters": [{"name": "p", "type": "text", "secret": true}]}
    }));
    house.os("login", &["Xyzzy-password"]);
    let forged = "x\n{\"event\":\"forged\"}\u{1b}[2J";
    house.ask(
        json!({"command_type": "os", "command_name": "login", "parameters": ["y"], "id": forged}),
    );
    house.ask(json!({"command_type": "os", "command_name": forged, "parameters": ["y"]}));
    let token = fs::read_to_string(house.path("token")).unwrap();
    let log = house.log();
    assert!(!log.contains("Xyzzy") && !log.contains(token.rsplit('.').next().unwrap().trim()));
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert!(!log.contains('\u{1b}'));
    assert_eq!(house.logged("forged").len(), 0);
    let ended = &house.logged("command_ended")[0];
    assert_eq!((&ended["argv"], &ended["subject"]), (&json!(["/bin/true", "***"]), &json!("test")));
    assert_eq!((&ended["exit_code"], &ended["outcome"]), (&json!(0), &json!("ok")));
}

#[test]
fn old_wound_wrong_settings_are_told_at_once_and_a_default_secret_signs_nothing() {
    let output = zcmdd(&[
        ("JWT_SECRET_KEY", "your-secret-key"),
        ("RATE_BURST", "many"),
        ("SERVER_ADDRESS", "ws://x"),
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    for secret in ["your-secret-key", "secret", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        for arguments in [&["token", "--sub", "a"][..], &["--check"], &[]] {
            let output = zcmdd(&[("JWT_SECRET_KEY", secret)]).args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(78), "{secret:?} {arguments:?}");
            assert!(output.stdout.is_empty());
            assert!(String::from_utf8(output.stderr).unwrap().contains("zcmdd keygen"));
        }
    }
    let place = folder();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    fs::set_permissions(place.join("key"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    let key = place.join("key").display().to_string();
    let output = zcmdd(&[("JWT_SECRET_KEY_FILE", &key)]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("chmod 600"));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_wrong_command_line_is_64_with_one_line_and_a_hint() {
    for arguments in
        [&["--nonsense"][..], &["token"], &["--check", "x"], &["--explain", "x"], &["x"]]
    {
        let output = zcmdd(&[]).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(64), 1), "{text}");
        assert!(text.contains("--help"), "{text}");
    }
}

#[test]
fn check_shows_and_explain_tells_what_would_run() {
    let house = House::new(json!({
        "say": {"run": ["/bin/echo", "{a}"], "user": "root",
                "parameters": [{"name": "a", "type": "word"}]}
    }));
    let (key, commands) = (house.path("key"), house.path("commands.json"));
    let zcmdd = || zcmdd(&[("JWT_SECRET_KEY_FILE", &key), ("COMMANDS_FILE", &commands)]);
    let check = zcmdd().arg("--check").output().unwrap();
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && text.contains("MAX_QUEUED_COMMANDS=64\n"), "{text}");
    assert!(!text.contains("0123456789"), "{text}");
    let explain = |arguments: &[&str]| {
        let output = zcmdd().arg("--explain").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, text) = explain(&["os:say", "say", "x"]);
    assert_eq!(status, Some(0));
    let permit: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(permit["argv"], json!(["/bin/echo", "x"]));
    assert_eq!((&permit["rule"], &permit["user"]), (&json!("os:say"), &json!("root")));
    let wire = |parameter: &str| {
        house.ask(json!({"command_type": "os", "command_name": "say", "parameters": [parameter],
                         "explain": true}))
    };
    assert_eq!(wire("x")["result"]["argv"], permit["argv"]);
    assert_eq!(wire("x")["result"]["rule"], "os:*");
    assert_eq!(code(&wire("-x")), "bad_parameter");
    assert_eq!(house.logged("command_accepted").len(), 0, "nothing was run");
    let cases = [
        (&["compute", "say", "x"][..], "forbidden: "),
        (&["os:*", "say", "-x"], "bad_parameter: parameter a"),
        (&["os:*", "nay"], "unknown_command: "),
    ];
    for (arguments, wanted) in cases {
        let (status, text) = explain(arguments);
        assert_eq!(status, Some(1), "{arguments:?}");
        assert!(text.starts_with(wanted), "{text}");
    }
}

#[test]
fn with_nothing_to_do_the_daemon_does_not_wake() {
    let house = House::new(json!({"quiet": sh(":")}));
    house.os("quiet", &[]);
    let wakes = || {
        house.proc_status("voluntary_ctxt_switches")
            + house.proc_status("nonvoluntary_ctxt_switches")
    };
    let wakes_within = |seconds| {
        let before = wakes();
        std::thread::sleep(Duration::from_secs(seconds));
        wakes() - before
    };
    // What the command and the connections before it left has to settle.
    until("quiet", || (wakes_within(1) == 0).then_some(()));
    let woken = wakes_within(10);
    assert_eq!(woken, 0, "a timer wakes it");
}

#[test]
fn a_program_that_others_can_change_is_refused_at_start() {
    let place = folder();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    let program = place.join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::write(place.join("commands"), json!({"p": {"run": [program]}}).to_string()).unwrap();
    let path = |name: &str| place.join(name).display().to_string();
    for (mode, status) in [(0o755, 0), (0o700, 0), (0o757, 78), (0o777, 78)] {
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let (key, commands) = (path("key"), path("commands"));
        let variables = [("JWT_SECRET_KEY_FILE", &*key), ("COMMANDS_FILE", &*commands)];
        let output = zcmdd(&variables).arg("--check").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{mode:o}: {text}");
        assert!(status == 0 || text.contains("p.run[0]: "), "{text}");
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn old_wound_files_in_a_directory_of_everybodys_were_trusted() {
    let place = folder();
    let names = ["key", "commands", "revoked", "clients", "server", "program"];
    let path = |name: &str| place.join(name).join("file").display().to_string();
    for name in names {
        fs::create_dir_all(place.join(name)).unwrap();
    }
    write_secret(&path("key").into(), "0123456789abcdefghijklmnopqrstuvwxyz");
    house::make_keys(&path("server"));
    fs::write(path("program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(path("program"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path("commands"), json!({"p": {"run": [path("program")]}}).to_string()).unwrap();
    fs::write(path("revoked"), "").unwrap();
    fs::write(path("clients"), "").unwrap();
    let values = names.map(path);
    let [key, commands, revoked, clients, server, _] = values.each_ref().map(String::as_str);
    let check = || {
        let variables = [
            ("JWT_SECRET_KEY_FILE", key),
            ("COMMANDS_FILE", commands),
            ("REVOKED_TOKENS_FILE", revoked),
            ("CURVE_CLIENTS_FILE", clients),
            ("CURVE_SECRET_KEY_FILE", server),
        ];
        let output = zcmdd(&variables).arg("--check").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check().0, Some(0), "{:?}", check());
    for name in names {
        let open = |mode| {
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        open(0o777);
        let (status, text) = check();
        assert!(status == Some(78) && text.contains("chmod go-w"), "{name}: {status:?} {text}");
        open(0o755);
    }
    fs::remove_dir_all(place).unwrap();
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
fn a_log_that_nobody_reads_stops_nothing() {
    let place = folder();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let ipc = format!("ipc://{}/s", place.display());
    let key = place.join("key").display().to_string();
    let mut daemon = zcmdd(&[("JWT_SECRET_KEY_FILE", &*key), ("SERVER_ADDRESS", &*ipc)])
        .stdin(std::process::Stdio::null())
        .stderr(std::os::fd::OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let context = zmq::Context::new();
    let socket = context.socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(30_000).unwrap();
    socket.connect(&ipc).unwrap();
    // A journal's socket holds some 200 KiB; each reload writes a line.
    socket.send("x", 0).unwrap();
    assert_eq!(code(&receive(&socket)), "malformed");
    for _ in 0..3000 {
        house::kill(i32::try_from(daemon.id()).unwrap(), SIGHUP);
        socket.send("x", 0).unwrap();
        assert_eq!(code(&receive(&socket)), "malformed");
    }
    house::kill(i32::try_from(daemon.id()).unwrap(), SIGTERM);
    assert_eq!(until("the end", || daemon.try_wait().unwrap()).code(), Some(0));
    drop(ours);
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn old_wound_a_key_or_a_token_that_could_not_be_written_was_a_success() {
    let key = "0123456789abcdefghijklmnopqrstuvwxyz";
    for arguments in [&["keygen"][..], &["token", "--sub", "a"], &["--check"], &["--help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut zcmdd = zcmdd(&[("JWT_SECRET_KEY", key)]);
        let output = zcmdd.args(arguments).stdout(full).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{arguments:?} {text}");
        assert!(text.contains("zcmdd: cannot write to standard output: No space"), "{text}");
    }
}

#[test]
fn old_wound_a_key_or_a_token_for_a_closed_standard_output_was_a_success() {
    let secret = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (output, status) in [(">&-", 74), (">/dev/null", 0)] {
        for arguments in ["keygen", "token --sub a"] {
            let script = format!("exec {} {arguments} {output}", env!("CARGO_BIN_EXE_zcmdd"));
            let mut shell = std::process::Command::new("/bin/sh");
            let shell = shell.args(["-c", &script]).env("JWT_SECRET_KEY", secret);
            let output = shell.output().unwrap();
            assert_eq!(output.status.code(), Some(status), "{script} {output:?}");
        }
    }
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew_on_sighup() {
    let house = House::new(json!({}));
    let moved = house.folder.join("moved");
    fs::rename(house.path("log"), &moved).unwrap();
    house.ask(json!({"command_type": "os", "command_name": "none"}));
    assert!(!house.folder.join("log").exists());
    house.signal(SIGHUP);
    until("a new log", || house.folder.join("log").exists().then_some(()));
    until("the reload", || (!house.logged("reloaded").is_empty()).then_some(()));
    house.ask(json!({"command_type": "os", "command_name": "none"}));
    until("a line", || (house.logged("refused").len() == 1).then_some(()));
    let old = fs::read_to_string(moved).unwrap();
    assert!(old.contains("\"refused\"") && !old.contains("\"reloaded\""), "{old}");
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
