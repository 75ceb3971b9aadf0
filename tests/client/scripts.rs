//! What scripts rely on: tries again, signals, codes, silence, and what a token says of itself.

use std::process::Command;
use std::time::{Duration, Instant};

use zcmd::protocol::reply::{Answer, Code, Error};
use zcmd::protocol::request::Ask;
use zcmd::protocol::token::{Claims, Keys};

use crate::played::{Client, Played, cancelled, error, exited, output, run, target, value, zcmd};

/// A daemon that refuses so often with these codes, one after the other, and then answers.
fn refusing(codes: &'static [(Code, u64)]) -> Played {
    let mut left = codes.iter();
    Played::new(move |request, caller| {
        let answer = match left.next() {
            Some((code, wait)) => Answer::Error(Error {
                retry_after: (*wait > 0).then_some(Duration::from_millis(*wait)),
                ..error(*code, "not now", Some(false))
            }),
            None => exited(3),
        };
        caller.reply(request, answer);
        true
    })
}

#[test]
fn what_was_certainly_not_done_is_tried_again() {
    const BUSY: &[(Code, u64)] = &[(Code::Busy, 50), (Code::RateLimited, 60)];
    let played = refusing(BUSY);
    let retried = played.run(&["--retry", "2", "os", "x"]);
    retried.is(3, "", "");
    assert!(retried.took >= Duration::from_millis(110), "the daemon's own delay: {retried:?}");
    assert_eq!(played.seen().len(), 3);
    refusing(BUSY).run(&["--retry", "1", "os", "x"]).is(125, "", "[rate_limited] not now; try");
    refusing(BUSY).run(&["os", "x"]).is(125, "", "zcmd: [busy] not now; try again in 0.1 s");
    refusing(&[(Code::ShuttingDown, 0)]).run(&["os", "x", "--retry"]).is(125, "", "shutting_down");
    refusing(&[(Code::ShuttingDown, 0)]).run(&["--retry", "1", "os", "x"]).is(3, "", "");
}

#[test]
fn what_may_have_been_done_or_is_refused_for_good_is_not_tried_again() {
    for code in [Code::Unauthorized, Code::Forbidden, Code::BadParameter, Code::Internal] {
        let played = Played::always(Answer::Error(error(code, "no", Some(false))));
        played.run(&["--retry", "5", "os", "x"]);
        assert_eq!(played.seen().len(), 1, "{code:?}");
    }
    let played = Played::always(Answer::Error(error(Code::ShuttingDown, "no", Some(true))));
    assert_eq!(played.run(&["--retry", "5", "os", "x"]).status, 255);
    let silent = Played::silent();
    assert_eq!(silent.run(&["--retry", "5", "--timeout", "0.2", "os", "x"]).status, 255);
    let asked = |played: &Played| {
        let seen = played.seen();
        seen.iter().filter(|request| matches!(request.ask, Ask::Os(_))).count()
    };
    assert_eq!((asked(&played), asked(&silent)), (1, 1));
}

#[test]
fn tries_stay_within_the_time_of_the_run() {
    let played = refusing(&[(Code::Busy, 60_000)]);
    let run = played.run(&["--retry", "9", "--timeout", "5", "os", "x"]);
    run.is(125, "", "zcmd: [busy] not now; try again in 60.0 s");
    assert!(run.took < Duration::from_secs(5), "{run:?}");
    for count in ["x", "-1", "1001"] {
        let option = format!("--retry={count}");
        played.run(&[&option, "ping"]).is(125, "", "expected a number, 0 to 1000");
    }
}

#[test]
fn a_daemon_that_is_not_there_yet_is_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut command = zcmd(&address, &["-v", "--retry", "30", "compute", "1"]);
    command.stderr(std::process::Stdio::piped());
    let mut client = Client::start(command);
    // Its first try has failed before the daemon is there.
    let mut told = String::new();
    let mut err = std::io::BufReader::new(client.child.stderr.take().unwrap());
    while !told.contains("[unreachable]") {
        assert!(std::io::BufRead::read_line(&mut err, &mut told).unwrap() > 0, "{told}");
    }
    let played = Played::at(&address, |request, caller| {
        caller.reply(request, value("1"));
        true
    });
    client.end().is(0, "1\n", "");
    assert_eq!(played.seen().len(), 1);
}

/// A daemon whose command runs until it is cancelled.
fn running() -> Played {
    let mut command = None;
    Played::new(move |request, caller| {
        match &request.ask {
            Ask::Os(_) => {
                caller.reply(request, output(b"running\n"));
                command = Some(request.clone());
            }
            _ => {
                let command = command.take().unwrap();
                assert_eq!(target(request), command.id.as_ref());
                caller.reply(&command, cancelled("SIGTERM"));
            }
        }
        true
    })
}

fn signal(client: &Client, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(client.child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn old_wound_a_command_ran_on_when_its_client_was_ended() {
    use rustix::process::Signal;
    for (number, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        if number == Signal::HUP && zcmd::system::signals::is_ignored(1) {
            println!("skipped: these tests run under nohup, which has SIGHUP ignored");
            continue;
        }
        let played = running();
        let mut client = Client::start(played.zcmd(&["os", "x"]));
        client.read_until("running\n");
        signal(&client, number);
        client.end().is(status, "", "");
        assert!(matches!(played.seen().last().unwrap().ask, Ask::Cancel { .. }), "{number:?}");
    }
}

#[test]
fn under_nohup_a_hangup_does_nothing() {
    let played = running();
    let mut command = Command::new("/bin/sh");
    let script = "trap '' HUP; exec \"$0\" os x";
    command.args(["-c", script, env!("CARGO_BIN_EXE_zcmd")]);
    command.env("ZCMD_SERVER", &played.address).env("ZCMD_TOKEN", crate::played::TOKEN);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut client = Client::start(command);
    client.read_until("running\n");
    signal(&client, rustix::process::Signal::HUP);
    signal(&client, rustix::process::Signal::TERM);
    client.end().is(143, "", "");
}

#[test]
fn a_signal_ends_the_menu() {
    let played = Played::silent();
    let mut client = Client::start(played.zcmd(&["menu"]));
    client.read_until("> ");
    signal(&client, rustix::process::Signal::TERM);
    assert_eq!(client.end().status, 143);
}

#[test]
fn a_signal_ends_the_wait_for_another_try() {
    let played = refusing(&[(Code::Busy, 50_000)]);
    let begun = Instant::now();
    let client = Client::start(played.zcmd(&["--retry", "9", "os", "x"]));
    played.wait_for(1);
    signal(&client, rustix::process::Signal::TERM);
    assert_eq!(client.end().status, 143);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn nothing_is_said_where_silence_is_asked_for() {
    let bad = Error { position: Some(0), ..error(Code::BadExpression, "bad", None) };
    let played = Played::always(Answer::Error(bad));
    played.run(&["-q", "--explain", "compute", "$"]).is(1, "", "");
    played.run(&["--quiet", "--timeout", "x", "ping"]).is(125, "", "");
    played.run(&["-q", "dance"]).is(125, "", "");
    let mut slip = played.zcmd(&["-q", "compute", "$"]);
    slip.env("ZCMD_SEVRER", "x");
    run(slip, "").is(1, "", "");
    let ran = crate::played::ran(zcmd::port::Ended::Exited(7), b"out", b"err");
    let run = Played::always(Answer::Ran(ran)).run(&["-q", "os", "x"]);
    assert_eq!((run.status, run.text(), run.err.as_str()), (7, "out", "err"));
}

#[test]
fn tables_are_asked_for_where_there_are_some() {
    let played = Played::new(|request, caller| {
        caller.reply_to(request.id.clone(), value(r#"{"running":3}"#));
        true
    });
    played.run(&["-o", "table", "status"]).is(0, "running  3\n", "");
    let json = "{\"id\":\"x\",\"status\":\"ok\",\"result\":{\"running\":3}}\n";
    for option in [["-o", "json"], ["--output", "json"], ["--json", "--verbose"]] {
        let arguments = [&option[..], &["--id", "x", "status"]].concat();
        assert_eq!(played.run(&arguments).text(), json, "{option:?}");
    }
    played.run(&["-o", "json", "os", "x"]).is(125, "", "[usage] os has no table; -o is for list");
    played.run(&["-o", "xml", "list"]).is(125, "", "-o xml: write -o table or -o json");
}

/// A token of this time, with a signature that no one can check here.
fn token(expires: f64) -> String {
    let keys = Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap();
    keys.sign(&Claims {
        subject: "alice".into(),
        scope: Some("compute os:*".into()),
        id: Some("jti-1".into()),
        expires,
        ..Claims::default()
    })
}

fn with_token(played: &Played, token: &str, arguments: &[&str], stdin: &str) -> crate::played::Run {
    let mut command = played.zcmd(arguments);
    command.env("ZCMD_TOKEN", token);
    run(command, stdin)
}

#[test]
fn old_wound_an_expired_token_was_not_told_as_expired() {
    let said = "no valid token; ask the owner of this host for one (zcmdd token)";
    let played = Played::always(Answer::Error(error(Code::Unauthorized, said, None)));
    let expired = "zcmd: [unauthorized] the token expired ";
    with_token(&played, &token(1.0), &["compute", "1"], "").is(125, "", expired);
    let batch = with_token(&played, &token(1.0), &["batch"], "1\n");
    batch.is(125, "\n", "stopped at line 1: the token expired ");
    // One that has time left is judged by the daemon alone.
    let good = with_token(&played, &token(4e9), &["compute", "1"], "");
    assert_eq!(good.err, format!("zcmd: [unauthorized] {said}\n"));
    // The daemon's clock counts: the client asks even if its own says that the token has expired.
    let played = Played::always(value("2"));
    with_token(&played, &token(1.0), &["compute", "1"], "").is(0, "2\n", "");
}

#[test]
fn old_wound_advice_was_given_twice() {
    let wait = Some(Duration::from_secs(20));
    let cases = [
        (
            Error { retry_after: wait, ..error(Code::RateLimited, "too many requests", None) },
            "zcmd: [rate_limited] too many requests; try again in 20.0 s\n",
        ),
        (
            error(Code::Unauthorized, "no valid token; ask the owner", None),
            "zcmd: [unauthorized] no valid token; ask the owner\n",
        ),
        (
            error(Code::ShuttingDown, "the daemon is shutting down; try another host", None),
            "zcmd: [shutting_down] the daemon is shutting down; try another host\n",
        ),
    ];
    for (error, told) in cases {
        assert_eq!(Played::always(Answer::Error(error)).run(&["ping"]).err, told);
    }
}

#[test]
fn the_token_at_hand_says_whose_it_is() {
    let played = Played::silent();
    let run = with_token(&played, &token(4e9), &["whoami"], "");
    let lines: Vec<&str> = run.text().lines().collect();
    assert_eq!((run.status, lines.len()), (0, 4), "{run:?}");
    assert_eq!((lines[0], lines[1]), ("subject   alice", "scope     compute os:*"));
    assert!(lines[2].starts_with("time      expires in "), "{run:?}");
    assert!(lines[2].ends_with(", at 2096-10-02T07:06:40Z"), "{run:?}");
    assert_eq!(lines[3], "jti       jti-1");
    let json = r#"{"sub":"alice","scope":"compute os:*","jti":"jti-1","exp":4000000000}"#;
    with_token(&played, &token(4e9), &["-o", "json", "whoami"], "").is(0, &format!("{json}\n"), "");
    with_token(&played, "opaque", &["whoami"], "").is(125, "", "the token is no JWT");
    assert_eq!(played.seen(), [], "no daemon is asked");
}
