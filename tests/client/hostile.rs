//! A daemon that lies, floods or writes to the terminal: one clear line, and the right exit status.

use std::time::Duration;

use zcmd::limits;
use zcmd::protocol::reply::{Answer, Code};
use zcmd::protocol::request::{Ask, Id};

use crate::played::{Caller, Client, Played, decode, error, output, run, target, value, zcmd};

const OS: &[&str] = &["os", "name"];
const JSON: &[&str] = &["--json", "os", "name"];
const COMPUTE: &[&str] = &["compute", "1+1"];

/// Arguments, what the daemon sends, the exit status, standard output and what standard error says.
type Case<'a> = (&'a [&'a str], &'a [&'a str], i32, &'a str, &'a str);

/// A daemon that sends these bodies, in which `$` is the request's id.
fn says(bodies: &[&str]) -> Played {
    let bodies: Vec<String> = bodies.iter().map(|body| (*body).to_owned()).collect();
    Played::new(move |request, caller| {
        let id = match &request.id {
            Some(Id::Text(id)) => format!("\"{id}\""),
            Some(Id::Number(id)) => id.to_string(),
            None => panic!("a request without an id"),
        };
        bodies.iter().for_each(|body| caller.raw(body.replace('$', &id).as_bytes()));
        true
    })
}

#[test]
fn old_wound_a_reply_that_contradicts_the_request_or_itself() {
    let ran = |end: &str| {
        let rest = r#""stdout":"","stderr":"","duration_ms":1"#;
        format!(r#"{{"id":$,"status":"ok","result":{{{end},{rest}}}}}"#)
    };
    let failed = |error: &str| {
        format!(r#"{{"id":$,"status":"error","error":{{"message":"m","code":{error}}}}}"#)
    };
    let piece = r#"{"id":$,"status":"output","stream":"stdout","data":"x"}"#;
    let one = r#"{"id":$,"status":"ok","result":1}"#;
    let no_reply = "what came is no reply";
    let cut = r#""exit_code":0,"truncated":{"stdout_bytes":0,"stderr_bytes":0}"#;
    let deep =
        format!(r#"{{"id":$,"status":"ok","result":{}{}}}"#, "[".repeat(9999), "]".repeat(9999));
    let nested = format!(
        r#"{{"id":$,"status":"ok","result":{{"a":{}1{}}}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    let cases: &[Case<'_>] = &[
        (OS, &[&ran(r#""exit_code":0,"signal":"SIGKILL""#)], 255, "", "both exit_code and signal"),
        (
            JSON,
            &[&ran(r#""exit_code":0,"signal":"SIGKILL""#)],
            255,
            "",
            "both exit_code and signal",
        ),
        (OS, &[&ran(r#""exit_code":256"#)], 255, "", no_reply),
        (OS, &[one], 255, "", no_reply),
        (JSON, &[piece], 255, "", no_reply),
        (OS, &[piece, &failed(r#""forbidden","executed":false"#)], 255, "x", "denies it"),
        (OS, &[piece, &failed(r#""shutting_down""#)], 255, "x", "denies it"),
        (OS, &[piece, &ran(cut)], 255, "x", "less output than it sent"),
        (OS, &[&ran(r#""exit_code":3"#), piece, &ran(r#""exit_code":4"#)], 3, "", ""),
        (OS, &[&failed(r#""novel""#)], 255, "", "zcmd: [internal] m"),
        (OS, &[&failed(r#""novel","executed":false"#)], 125, "", "zcmd: [internal] m"),
        (COMPUTE, &[&failed(r#""novel""#)], 125, "", "zcmd: [internal] m"),
        (COMPUTE, &[one, one], 0, "1\n", ""),
        (COMPUTE, &[&one.replace('1', "\"\\u202e\"")], 255, "", no_reply),
        (COMPUTE, &[r#"{"status":"ok","result":1}"#], 255, "", no_reply),
        (COMPUTE, &[&ran(r#""exit_code":0"#)], 255, "", no_reply),
        (COMPUTE, &[piece], 255, "", no_reply),
        (COMPUTE, &[&failed(r#""busy","retry_after_ms":-1"#)], 255, "", no_reply),
        (COMPUTE, &[&failed(r#""bad_expression","position":-1"#)], 255, "", no_reply),
        (
            COMPUTE,
            &[&failed(r#""bad_expression","position":4000000000"#)],
            1,
            "",
            "zcmd: [bad_expression] m",
        ),
        (COMPUTE, &[&deep], 255, "", no_reply),
        (&["status"], &[&nested], 255, "", "nested deeper"),
        (&["list"], &[&deep], 255, "", "makes no sense"),
        (COMPUTE, &["{"], 255, "", no_reply),
        (COMPUTE, &[""], 255, "", no_reply),
    ];
    for (arguments, bodies, status, out, err) in cases {
        says(bodies).run(arguments).is(*status, out, err);
    }
    let beyond = failed(r#""bad_expression","position":4000000000"#);
    let run = says(&[&beyond]).run(&["compute", "--explain", "1+"]);
    assert_eq!((run.status, run.err.as_str()), (1, "zcmd: [bad_expression] m\n1+\n  ^\n"));
}

type Send = fn(&Caller<'_>);

#[test]
fn old_wound_messages_that_are_too_much() {
    let cases: &[(Send, &str)] = &[
        (|caller| caller.frames(&[b"x".as_slice(); 1000]), "more than 8 frames"),
        (|caller| caller.raw(b"{\"status\":\"ok\",\"result\":\"\xff\"}"), "not valid UTF-8"),
        (|caller| caller.raw(&vec![b'x'; limits::SHORT_REPLY_BYTES_MAX + 1]), "broke before"),
    ];
    for (send, message) in cases {
        let send = *send;
        let played = Played::new(move |_, caller| {
            send(caller);
            true
        });
        played.run(COMPUTE).is(255, "", message);
        played.run(OS).is(255, "", message);
    }
    let long = error(Code::Internal, &"m".repeat(1_000_000), Some(false));
    let run = Played::always(Answer::Error(long)).run(OS);
    run.is(125, "", "] mmm");
    assert!(run.err.len() < 2 * limits::SHOWN_CHARACTERS_MAX, "{}", run.err.len());
    // It leaves in the middle.
    let played = Played::new(|request, caller| {
        caller.reply(request, output(b"x"));
        false
    });
    played.run(OS).is(255, "x", "broke before the answer came");
}

#[test]
fn what_comes_before_the_question_is_passed_over() {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let address = socket.get_last_endpoint().unwrap().unwrap();
    let early = std::thread::spawn(move || {
        socket.send(&br#"{"id":7,"status":"ok","result":7}"#[..], 0).unwrap();
        let request = socket.recv_multipart(0).unwrap().pop().unwrap();
        let request = decode(&request);
        let reply = zcmd::protocol::reply::Reply { id: request.id, answer: value("2") };
        socket.send(reply.encode(), 0).unwrap();
    });
    run(zcmd(&address, COMPUTE), "").is(0, "2\n", "");
    early.join().unwrap();
}

/// A daemon that answers others, faster than they are read.
fn flood() -> Played {
    let members: String = (0..1000).map(|number| format!(",\"{number}\":0")).collect();
    let other = format!(r#"{{"id":99,"status":"ok","result":1{members}}}"#);
    Played::new(move |request, caller| {
        if target(request).is_none() {
            caller.reply(request, output(b"first\n"));
            (0..8000).for_each(|_| caller.raw(other.as_bytes()));
        }
        true
    })
}

#[test]
fn old_wound_replies_to_others_without_end() {
    let run = flood().run(&["--timeout", "0.5", "os", "name"]);
    run.is(255, "first\n", "within 0.5 s");
    assert!(run.took < Duration::from_secs(2), "{run:?}");
    let played = flood();
    let mut client = Client::start(played.zcmd(OS));
    client.read_until("first\n");
    client.interrupt();
    played.wait_for(2);
    client.interrupt();
    let run = client.end();
    assert!(run.took < Duration::from_secs(2), "{run:?}");
    assert_eq!(run.status, 130, "{run:?}");
}

/// What must not reach a terminal as it is.
const EVIL: &str = "a\u{9b}2J\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{feff}f\u{1b}[1mg\nh";

#[test]
fn old_wound_text_of_the_daemon_on_the_terminal() {
    let evil = serde_json::to_string(EVIL).unwrap();
    let played = Played::new(move |request, caller| {
        let command = format!(
            r#"{{"name":{evil},"about":{evil},"parameters":[
            {{"name":{evil},"type":{evil},"under":{evil},"default":{evil},"min":{evil}}},
            {{"name":"c","type":"choice","of":[{evil},{evil}]}}]}}"#
        );
        let json = match &request.ask {
            Ask::List => format!(r#"{{"compute":true,"commands":[{command}]}}"#),
            Ask::Status => {
                format!(r#"{{{evil}:{evil},"a":{{{evil}:[{evil}]}},"b":[{evil}]}}"#)
            }
            Ask::Ping => format!(r#"{{"version":{evil},"uptime_ms":1}}"#),
            Ask::Os(os) => {
                // What a person chose is sent as the daemon wrote it.
                assert_eq!((os.name.as_str(), os.parameters.ordered[0].as_str()), (EVIL, EVIL));
                caller.reply(request, Answer::Error(error(Code::Busy, EVIL, Some(false))));
                return true;
            }
            _ => panic!(),
        };
        caller.reply(request, value(&json));
        true
    });
    let clean = |text: &str| {
        let bad = |c: char| (c.is_control() && c != '\n') || EVIL.contains(c) && !c.is_ascii();
        assert!(!text.contains(bad) && !text.contains("g\nh"), "{text:?}");
        assert!(text.contains("\\u{202e}"), "{text:?}");
    };
    for subcommand in ["list", "status", "ping"] {
        let run = played.run(&[subcommand]);
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{run:?}");
        clean(run.text());
    }
    let run = played.feed(&["menu"], "1\n1\n\nx\n3\n");
    assert_eq!(run.status, 0, "{run:?}");
    clean(run.text());
    clean(&run.err);
    assert_eq!(run.err.lines().count(), 1, "{run:?}");
}

#[test]
fn old_wound_a_batch_that_is_told_to_wait_without_end() {
    let cases: &[(&str, &str, i32, &str)] = &[
        ("1", "700", 125, "which is longer than --timeout"),
        // A wait as long as the timeout is a wait all the same.
        ("0.5", "500", 125, "which is longer than --timeout"),
        ("60", "0", 125, "too many refusals in a row"),
        ("60", "61000", 125, "try again in 61.0 s, which is longer than --timeout"),
        ("60", "18446744073709551615", 125, "which is longer than --timeout"),
        ("60", "18446744073709551616", 255, "stopped at line 1: what came is no reply"),
        ("60", "-1", 255, "stopped at line 1: what came is no reply"),
    ];
    for (timeout, wait, status, message) in cases {
        let body = format!(
            r#"{{"id":$,"status":"error","error":{{"code":"rate_limited","message":"m",
            "retry_after_ms":{wait}}}}}"#
        );
        let run = says(&[&body]).feed(&["--timeout", timeout, "batch"], "1\n2\n");
        run.is(*status, "", message);
        assert!(run.took < Duration::from_secs(10), "{run:?}");
    }
}

#[test]
fn old_wound_a_value_that_is_no_number_is_a_success() {
    for json in ["\"x\"", "[1,\n2]", "{\"a\":1}", "true", "null", "1e999", &"[".repeat(9999)] {
        let played = says(&[&format!("{{\"id\":$,\"status\":\"ok\",\"result\":{json}}}")]);
        for options in [&[][..], &["--json"]] {
            let no_reply = "what came is no reply";
            played.feed(&[options, &["batch"]].concat(), "1\n").is(255, "", no_reply);
            played.run(&[options, COMPUTE].concat()).is(255, "", no_reply);
        }
    }
}

#[test]
fn old_wound_a_signal_of_no_known_name_ends_it_without_a_word() {
    for name in ["SIGNOVEL", "", "SIG200", "\\u001b[2J"] {
        let rest = r#""stdout":"x","stderr":"","duration_ms":1"#;
        let body = format!(r#"{{"id":$,"status":"ok","result":{{"signal":"{name}",{rest}}}}}"#);
        let run = says(&[&body]).run(OS);
        run.is(255, "x", "zcmd: the command was ended by a signal that is not known here: ");
        assert!(run.err.lines().count() == 1 && !run.err.contains('\u{1b}'), "{run:?}");
    }
    let known = r#"{"id":$,"status":"ok","result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":1}}"#;
    let run = says(&[known]).run(OS);
    assert_eq!((run.status, run.err.as_str()), (143, ""));
}

#[test]
fn old_wound_a_batch_that_is_answered_with_something_else() {
    let cases = [
        r#"{"id":$,"status":"output","stream":"stdout","data":"x"}"#,
        r#"{"id":$,"status":"ok","result":{"exit_code":7,"stdout":"","stderr":"","duration_ms":1}}"#,
    ];
    for body in cases {
        let run = says(&[body, body]).feed(&["batch"], "1\n2\n");
        run.is(255, "", "stopped at line 1: what came is no reply");
    }
    let played = says(&["{\"id\":$,\n\"status\":\"ok\",\"result\":1}"]);
    let run = played.feed(&["--json", "batch"], "1\n");
    run.is(0, "{\"id\":1, \"status\":\"ok\",\"result\":1}\n", "");
}
