//! Many expressions: order, errors, limits of rate, and what becomes of them when all goes wrong.

use std::time::{Duration, Instant};

use zcmd::limits;
use zcmd::protocol::reply::{Answer, Code, Error};
use zcmd::protocol::request::{Ask, Id, Request};

use crate::played::{Caller, Client, Played, error, run, value};

/// Answers a number with itself, another expression with 0, `bad` with an error.
fn answer(request: &Request, caller: &Caller<'_>) {
    let Ask::Compute { expression, .. } = &request.ask else { panic!() };
    match expression.as_str() {
        "bad" => caller.reply(request, Answer::Error(error(Code::BadExpression, "is bad", None))),
        "end" => caller.reply(request, Answer::Error(error(Code::Unauthorized, "expired", None))),
        text if text.parse::<f64>().is_ok() => caller.reply(request, value(text)),
        _ => caller.reply(request, value("0")),
    }
}

fn daemon() -> Played {
    Played::new(|request, caller| {
        answer(request, caller);
        true
    })
}

/// Lines of numbers, and the answers to them.
fn numbers(count: usize) -> (String, String) {
    let lines: String = (0..count).map(|number| format!("{number}\n")).collect();
    (lines.clone(), lines)
}

#[test]
fn ten_thousand_answers_come_in_order() {
    // The daemon answers in blocks, each backwards, once so many are in flight.
    let mut block = Vec::new();
    let mut left = 10_000;
    let played = Played::new(move |request, caller| {
        block.push(request.clone());
        left -= 1;
        assert!(block.len() <= limits::BATCH_REQUESTS_MAX);
        if block.len() == 16 || left == 0 {
            block.drain(..).rev().for_each(|request| answer(&request, caller));
        }
        true
    });
    let (lines, answers) = numbers(10_000);
    let run = played.feed(&["batch"], &lines);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert!(run.text() == answers);
}

#[test]
fn the_window_is_used_and_kept() {
    let mut waiting = Vec::new();
    let played = Played::new(move |request, caller| {
        waiting.push(request.clone());
        // Nothing is answered before the window is full, and then all but one.
        if waiting.len() == limits::BATCH_REQUESTS_MAX {
            waiting.drain(1..).for_each(|request| answer(&request, caller));
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(100) {}
            answer(&waiting.remove(0), caller);
        }
        true
    });
    // The last block fills the window, too.
    let (lines, answers) = numbers(limits::BATCH_REQUESTS_MAX * 4);
    played.feed(&["batch"], &lines).is(0, &answers, "");
}

#[test]
fn a_line_without_a_value_keeps_its_place() {
    let long = "9".repeat(limits::LINE_BYTES_MAX + 1);
    let lines = format!("1\n\nbad\n  \n{long}\n2\r\nbad\n3");
    let run = daemon().feed(&["batch"], &lines);
    assert_eq!(run.text(), "1\n\n\n\n\n2\n\n3\n");
    assert_eq!(run.status, 125);
    let mut complaints: Vec<&str> = run.err.lines().collect();
    complaints.sort_unstable();
    let wanted = [
        "zcmd: [bad_expression] line 3: is bad",
        "zcmd: [bad_expression] line 7: is bad",
        "zcmd: [refused] line 5: longer than 4096 bytes",
    ];
    assert_eq!(complaints, wanted);
    assert_eq!(daemon().feed(&["batch"], "1\nbad\n2\n").status, 1);
    daemon().feed(&["batch"], "").is(0, "", "");
}

#[test]
fn variables_come_from_the_command_line_and_from_columns() {
    let played = daemon();
    let asked = || {
        let asked = played.seen().into_iter().map(|request| match request.ask {
            Ask::Compute { expression, variables } => variables
                .iter()
                .fold(expression, |all, (name, value)| format!("{all};{name}={value}")),
            other => panic!("{other:?}"),
        });
        asked.collect::<Vec<_>>()
    };
    played.feed(&["batch", "--let", "k=2"], "k\n").is(0, "0\n", "");
    assert_eq!(asked(), ["k;k=2"]);
    let rows = "1, 2\n\n3 -.5\nx,1\n1\n";
    let run = played.feed(&["batch", "--let", "k=2", "--let-columns", "x,y", "-x+y"], rows);
    assert_eq!(run.text(), "0\n\n0\n\n\n");
    assert_eq!(asked(), ["k;k=2", "-x+y;k=2;x=1;y=2", "-x+y;k=2;x=3;y=-0.5"]);
    assert_eq!(run.status, 125);
    assert_eq!(
        run.err,
        "zcmd: [refused] line 4: x: \"x\" is no number\nzcmd: [refused] line 5: 1 numbers, expected x,y\n"
    );
}

#[test]
fn a_rate_limit_slows_it_down_and_does_not_end_it() {
    let wait = Duration::from_millis(20);
    let (mut free_at, mut refused) = (Instant::now(), 0);
    let played = Played::new(move |request, caller| {
        let now = Instant::now();
        if now < free_at {
            refused += 1;
            assert!(refused < limits::BATCH_REQUESTS_MAX + 60, "it asks and asks");
            let limited = error(Code::RateLimited, "too many", None);
            let retry_after = Some(free_at - now);
            caller.reply(request, Answer::Error(Error { retry_after, ..limited }));
        } else {
            free_at = now + wait;
            answer(request, caller);
        }
        true
    });
    let (lines, answers) = numbers(40);
    let run = played.feed(&["batch"], &lines);
    run.is(0, &answers, "");
    assert!(run.took >= wait * 39, "{run:?}");
}

#[test]
fn a_daemon_that_dies_is_not_guessed_for() {
    let mut count = 0;
    let played = Played::new(move |request, caller| {
        count += 1;
        if count < 100 {
            answer(request, caller);
        }
        count < 100
    });
    let (lines, answers) = numbers(1000);
    let run = played.feed(&["batch"], &lines);
    assert_eq!(run.status, 255, "{run:?}");
    assert!(answers.starts_with(run.text()) && run.text().lines().count() == 99, "{run:?}");
    assert!(run.err.starts_with("zcmd: [uncertain] stopped at line 100: "), "{run:?}");
}

#[test]
fn a_daemon_that_falls_silent_is_not_waited_for_for_ever() {
    let played = Played::new(|request, caller| {
        if !matches!(&request.ask, Ask::Compute { expression, .. } if expression == "1") {
            answer(request, caller);
        }
        true
    });
    let run = played.feed(&["--timeout", "0.3", "batch"], "0\n1\n2\n");
    run.is(255, "0\n", "stopped at line 2: no answer for 0.3 s");
}

#[test]
fn a_token_that_ends_ends_it() {
    let run = daemon().feed(&["batch"], "1\n2\nend\n3\n");
    run.is(125, "1\n2\n\n", "stopped at line 3: expired");
}

#[test]
fn json_replies_come_in_order_and_as_they_came() {
    let run = daemon().feed(&["--json", "batch"], "1\n2\n");
    let replies = [1, 2].map(|n| format!("{{\"id\":{n},\"status\":\"ok\",\"result\":{n}}}\n"));
    run.is(0, &replies.concat(), "");
}

#[test]
fn an_answer_does_not_wait_for_the_next_line() {
    use std::io::Write;
    let played = daemon();
    let mut client = Client::start(played.zcmd(&["batch"]));
    let mut stdin = client.child.stdin.take().unwrap();
    for number in 0..3 {
        writeln!(stdin, "{number}").unwrap();
        assert_eq!(client.read_until("\n"), format!("{number}\n"));
    }
    drop(stdin);
    client.end().is(0, "", "");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let played = daemon();
    let mut command = played.zcmd(&["batch"]);
    command.stdout(std::io::pipe().unwrap().1);
    run(command, "1\n").is(141, "", "");
}

#[test]
fn lines_come_from_a_file_and_comments_keep_their_place() {
    let file = std::env::temp_dir().join(format!("zcmd-lines-{}", std::process::id()));
    let path = file.to_str().unwrap();
    std::fs::write(&file, "1\n# two\n  #3\n4\n").unwrap();
    daemon().run(&["batch", path]).is(0, "1\n\n\n4\n", "");
    daemon().feed(&["batch", "-"], "# x\n5").is(0, "\n5\n", "");
    std::fs::write(&file, "# x,y\n1,2\n").unwrap();
    let played = daemon();
    played.run(&["batch", "--let-columns", "x,y", "x+y", path]).is(0, "\n0\n", "");
    assert_eq!(played.seen().len(), 1);
    std::fs::write(&file, "6\n").unwrap();
    let token = crate::played::TOKEN;
    daemon().feed(&["batch", "--token-file", "-", path], token).is(0, "6\n", "");
    daemon().feed(&["batch", "--token-file", "-", "-"], token).is(125, "", "both the token and");
    std::fs::remove_file(&file).unwrap();
    played.run(&["batch", path]).is(125, "", "expressions come from standard input or a file");
    played.run(&["batch", "/tmp"]).is(125, "", "[refused] /tmp is a directory");
    played.run(&["batch", "a", "b"]).is(125, "", "one argument too many: \"b\"");
}

#[test]
fn progress_is_shown_on_a_terminal_with_the_part_of_the_file() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::io::Read;
    let file = std::env::temp_dir().join(format!("zcmd-part-{}", std::process::id()));
    let (lines, answers) = numbers(200);
    std::fs::write(&file, lines).unwrap();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = std::fs::File::options().read(true).write(true).open(name).unwrap();
    // The limit of rate makes it last for longer than a look at the progress does.
    let begun = Instant::now();
    let played = Played::new(move |request, caller| {
        let wait = Some(Duration::from_millis(300));
        match begun.elapsed() < Duration::from_millis(900) && request.id == Some(Id::Number(150)) {
            true => caller.reply(
                request,
                Answer::Error(Error {
                    retry_after: wait,
                    ..error(Code::RateLimited, "slow", None)
                }),
            ),
            false => answer(request, caller),
        }
        true
    });
    let mut command = played.zcmd(&["batch", file.to_str().unwrap()]);
    command.stderr(terminal);
    let client = Client::start(command);
    let mut seen = Vec::new();
    let mut master = std::fs::File::from(master);
    while !String::from_utf8_lossy(&seen).contains("lines (100 %), ") {
        let mut byte = [0];
        assert_eq!(master.read(&mut byte).unwrap(), 1);
        seen.extend(byte);
    }
    let run = client.end();
    assert_eq!((run.status, run.text()), (0, answers.as_str()));
    std::fs::remove_file(&file).unwrap();
}
