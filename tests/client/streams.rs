//! Commands that run: output as it comes, Ctrl-C, readers that leave, time that runs out.

use std::sync::mpsc::channel;
use std::time::Duration;

use zcmd::limits;
use zcmd::port::{Ended, Stream};
use zcmd::protocol::reply::Answer;
use zcmd::protocol::request::Ask;

use crate::played::{Client, PATIENCE, Played, cancelled, exited, output, ran, target, value};

/// A command that writes once and then runs until it is cancelled.
fn endless() -> Played {
    let mut running = None;
    Played::new(move |request, caller| {
        match (target(request), &running) {
            (None, _) => {
                running = Some(request.clone());
                caller.reply(request, output(b"first\n"));
            }
            (Some(id), Some(command)) => {
                assert_eq!(command.id.as_ref(), Some(id));
                caller.reply(request, value(r#"{"cancelled":true}"#));
                caller.reply(command, output(b"last words\n"));
                caller.reply(command, cancelled("SIGTERM"));
            }
            _ => panic!("nothing runs"),
        }
        true
    })
}

/// A command that writes once, and does not heed a `cancel`.
fn deaf() -> Played {
    Played::new(|request, caller| {
        if target(request).is_none() {
            caller.reply(request, output(b"first\n"));
        }
        true
    })
}

#[test]
fn output_comes_while_the_command_runs_and_in_order() {
    let (go, gone) = channel();
    let played = Played::new(move |request, caller| {
        assert!(matches!(&request.ask, Ask::Os(os) if os.stream));
        caller.reply(request, output(b"first\n"));
        gone.recv_timeout(PATIENCE).unwrap();
        for number in 0..1000 {
            caller.reply(request, output(format!("{number}\n").as_bytes()));
        }
        let bytes = b"apart\n".to_vec();
        caller.reply(request, Answer::Output { stream: Stream::Stderr, bytes });
        caller.reply(request, output(b"\xff\x00"));
        caller.reply(request, exited(3));
        true
    });
    let mut client = Client::start(played.zcmd(&["os", "name"]));
    // The command has not ended, since it was not told to go on.
    client.read_until("first\n");
    go.send(()).unwrap();
    let run = client.end();
    let mut numbers: Vec<u8> = (0..1000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    numbers.extend(b"\xff\x00");
    assert_eq!((run.status, run.err.as_str(), run.out == numbers), (3, "apart\n", true));
}

#[test]
fn what_the_last_reply_brings_is_printed_after_the_stream() {
    let played = Played::new(|request, caller| {
        caller.reply(request, output(b"a"));
        caller.reply(request, Answer::Ran(ran(Ended::Exited(0), b"b", b"")));
        true
    });
    played.run(&["os", "name"]).is(0, "ab", "");
}

#[test]
fn ctrl_c_cancels_the_command_and_exits_130() {
    for arguments in [&["os", "name"][..], &["os", "--id", "7", "name"]] {
        let played = endless();
        let mut client = Client::start(played.zcmd(arguments));
        client.read_until("first\n");
        client.interrupt();
        client.end().is(130, "last words\n", "");
        assert_eq!(played.seen().len(), 2);
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let played = deaf();
    let mut client = Client::start(played.zcmd(&["os", "name"]));
    client.read_until("first\n");
    client.interrupt();
    played.wait_for(2);
    client.interrupt();
    let run = client.end();
    run.is(130, "", "");
    assert!(run.took < Duration::from_secs(limits::CANCEL_SECONDS), "{run:?}");
}

#[test]
fn a_daemon_that_does_not_confirm_is_not_waited_for_for_ever() {
    let played = deaf();
    let mut client = Client::start(played.zcmd(&["os", "name"]));
    client.read_until("first\n");
    client.interrupt();
    client.end().is(130, "", "did not confirm");
}

#[test]
fn ctrl_c_is_heard_while_nobody_reads() {
    let played = Played::new(|request, caller| {
        // More than the pipe and both queues hold.
        let parts = if target(request).is_none() { 400 } else { 0 };
        for _ in 0..parts {
            caller.reply(request, output(&[b'x'; 4096]));
        }
        true
    });
    let mut client = Client::start(played.zcmd(&["os", "name"]));
    client.read_until("x");
    client.interrupt();
    played.wait_for(2);
    client.interrupt();
    assert_eq!(client.status(), 130);
}

#[test]
fn a_reader_that_leaves_ends_a_silent_command() {
    let played = endless();
    let mut client = Client::start(played.zcmd(&["os", "name"]));
    client.read_until("first\n");
    drop(client.child.stdout.take());
    client.end().is(141, "", "");
    let seen = played.seen();
    assert_eq!(target(&seen[1]), seen[0].id.as_ref());
}

#[test]
fn a_closed_pipe_ends_the_rest_quietly() {
    for arguments in [&["compute", "1+1"][..], &["--json", "compute", "1+1"], &["--help"]] {
        let played = Played::always(value("2"));
        let mut command = played.zcmd(arguments);
        // Its reader has left before it begins.
        command.stdout(std::io::pipe().unwrap().1);
        Client::start(command).end().is(141, "", "");
    }
}

#[test]
fn time_that_runs_out_cancels_the_command_and_exits_255() {
    let played = endless();
    let run = played.run(&["--timeout", "0.3", "os", "name"]);
    run.is(255, "first\n", "within 0.3 s; the daemon was told to end the command");
    let seen = played.wait_for(2);
    assert_eq!(target(&seen[1]), seen[0].id.as_ref());
}

#[test]
fn time_runs_out_even_while_nobody_reads() {
    let played = Played::new(|request, caller| {
        let parts = if target(request).is_none() { 400 } else { 0 };
        for _ in 0..parts {
            caller.reply(request, output(&[b'x'; 4096]));
        }
        true
    });
    let mut client = Client::start(played.zcmd(&["--timeout", "0.3", "os", "name"]));
    assert_eq!(client.status(), 255);
}
