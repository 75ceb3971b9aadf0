//! Requests and their answers, and a daemon that has nothing to do.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::house::{self, House, code, receive, sh, until};

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
