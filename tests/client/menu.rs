//! The menu, driven by what a person might type.

use zcmd::port::Ended;
use zcmd::protocol::reply::{Answer, Code};
use zcmd::protocol::request::{Ask, Os, Request};

use crate::played::{
    Caller, Client, Played, cancelled, error, output, ran, run, target, value, zcmd,
};

const LIST: &str = r#"{"compute":true,"commands":[
    {"name":"up","about":"How long","parameters":[]},
    {"name":"ping","parameters":[{"name":"host","type":"hostname"},
        {"name":"count","type":"integer","min":1,"max":10,"default":"3"},
        {"name":"tag","type":"word","repeat":3}]}]}"#;

fn daemon() -> Played {
    let mut running: Option<Request> = None;
    Played::new(move |request, caller: &Caller<'_>| {
        match &request.ask {
            Ask::List => caller.reply(request, value(LIST)),
            Ask::Compute { expression, .. } if expression == "1+1" => {
                caller.reply(request, value("2"));
            }
            Ask::Compute { .. } => {
                caller.reply(request, Answer::Error(error(Code::BadExpression, "no", None)));
            }
            Ask::Os(os) if os.name == "up" => {
                caller.reply(request, output(b"running\n"));
                running = Some(request.clone());
            }
            Ask::Os(_) => caller.reply(request, Answer::Ran(ran(Ended::Exited(7), b"pong\n", b""))),
            _ => {
                let command = running.take().unwrap();
                assert_eq!(target(request), command.id.as_ref());
                caller.reply(&command, cancelled("SIGTERM"));
            }
        }
        true
    })
}

#[test]
fn a_person_is_led_to_a_command_through_nonsense() {
    let played = daemon();
    let typed =
        "hello\n9\n1\n77\nnone\n2\n\nexample.org\n\nred\nblue\n\n2\n1+1\n2\n1+\n3\nnot read\n";
    let run = played.feed(&["menu"], typed);
    assert_eq!((run.status, run.err.as_str()), (0, "zcmd: [bad_expression] no\n"));
    let text = run.text();
    for part in [
        "1) Run an OS command\n2) Compute an expression\n3) Quit\n> ",
        "Please type 1, 2 or 3.",
        "  1) up               How long\n  2) ping\n",
        "There is no such command in the list.",
        "host (hostname): host has no default",
        "count (integer, 1 to 10) [3]: ",
        "tag (another; empty for no more): ",
        "pong\n(exit status 7)\n",
        "Expression: 2\n",
        "(exit status 1)\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let parameters = ["example.org", "3", "red", "blue"].map(str::to_owned).into_iter().collect();
    let os = Os { name: "ping".into(), parameters, stream: true, ..Os::default() };
    assert!(played.seen().iter().any(|request| request.ask == Ask::Os(os.clone())));
}

#[test]
fn the_end_of_input_leaves_from_everywhere() {
    for typed in ["", "1", "1\n", "1\nping\n", "1\nping\nhost\n", "2\n", "\n\n"] {
        let run = daemon().feed(&["menu"], typed);
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{typed:?}");
    }
}

#[test]
fn lines_that_cannot_be_read_are_asked_for_again() {
    let long = format!("{}\n2\n1+1\n3\n", "x".repeat(1_000_000));
    let run = daemon().feed(&["menu"], &long);
    assert_eq!(run.status, 0);
    assert!(run.text().contains("That line is too long.\n> ") && run.text().contains(": 2\n"));
}

#[test]
fn ctrl_c_ends_the_command_then_the_question_then_the_menu() {
    use std::io::Write;
    let played = daemon();
    let mut client = Client::start(played.zcmd(&["menu"]));
    let mut stdin = client.child.stdin.take().unwrap();
    client.read_until("\n> ");
    stdin.write_all(b"1\nup\n").unwrap();
    client.read_until("running\n");
    client.interrupt();
    assert!(client.read_until("\n> ").contains("(exit status 130)"));
    assert!(played.seen().iter().any(|request| target(request).is_some()));
    stdin.write_all(b"2\n").unwrap();
    client.read_until("Expression: ");
    client.interrupt();
    client.read_until("\n> ");
    client.interrupt();
    assert_eq!(client.end().status, 130);
}

#[test]
fn a_daemon_that_is_away_does_not_end_the_menu() {
    let run = run(zcmd("ipc:///nonexistent/zcmd", &["menu"]), "1\n2\n1+1\n3\n");
    assert_eq!((run.status, run.err.lines().count()), (0, 2), "{run:?}");
}
