//! Copies: what a host may tell of its files, and what the client makes of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use zcmd::port::{Ended, OutputBytes};
use zcmd::protocol::reply::{Answer, Code, Error};
use zcmd::protocol::request::{Ask, Os};

use crate::played::{Client, Played, cancelled, error, ran, run, target, value};

/// A directory to copy into, with a file to copy.
struct Here(PathBuf);

impl Here {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("zcmd-copy-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("own"), "own bytes").unwrap();
        Self(folder)
    }

    fn run(&self, played: &Played, arguments: &[&str]) -> crate::played::Run {
        let mut command = played.zcmd(arguments);
        command.current_dir(&self.0);
        run(command, "")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to a request for a part of a file of this size.
fn part(bytes: &[u8], size: usize, version: &str) -> Answer {
    let about =
        json!({"bytes": bytes.len(), "sha256": sum(bytes), "size": size, "version": version});
    Answer::Ran(ran(Ended::Exited(0), bytes, format!("{about}\n").as_bytes()))
}

#[test]
fn a_copy_is_asked_for_as_the_shipped_commands_have_it() {
    let here = Here::new("asks");
    let played = Played::new(|request, caller| {
        let Ask::Os(os) = &request.ask else { panic!("{request:?}") };
        let done = br#"{"have":9,"done":true}"#;
        caller.reply(
            request,
            match os.name.as_str() {
                "read" => part(b"abc", 3, "1"),
                "logs" => part(b"", 0, "1"),
                "write" => Answer::Ran(ran(Ended::Exited(0), done, b"")),
                "facts" => Answer::Ran(ran(Ended::Exited(0), b"{\"a\":1}", b"")),
                _ => Answer::Ran(ran(Ended::Exited(0), br#"{"entries":[],"left_out":2}"#, b"")),
            },
        );
        true
    });
    let whole = sum(b"own bytes");
    let cases: [(&[&str], &str, &[&str], &str); 6] = [
        (&["get", "a/b"], "read", &["a/b", "0", "1048576", "bytes"], ""),
        (&["get", "--command", "logs", "b"], "logs", &["b", "0", "1048576", "bytes"], ""),
        (&["put", "own", "a"], "write", &["a", &whole, "9", "0"], "own bytes"),
        (&["facts"], "facts", &[], ""),
        (&["ls"], "files", &[], ""),
        (&["ls", "x"], "files", &["x"], ""),
    ];
    for (arguments, name, parameters, stdin) in cases {
        let run = here.run(&played, arguments);
        assert_eq!(run.status, 0, "{run:?}");
        assert_eq!(run.err.contains("2 more entries"), arguments[0] == "ls", "{run:?}");
        let parameters = parameters.iter().map(|text| (*text).to_owned()).collect();
        let stdin = stdin.as_bytes().to_vec();
        let wanted = Os { name: name.to_owned(), parameters, stdin, ..Os::default() };
        assert_eq!(played.seen().pop().unwrap().ask, Ask::Os(wanted), "{arguments:?}");
    }
    assert_eq!(here.names(), ["b", "own"]);
}

#[test]
fn a_host_that_contradicts_itself_makes_no_copy() {
    let here = Here::new("hostile");
    let about = |text: &str| Answer::Ran(ran(Ended::Exited(0), b"abc", text.as_bytes()));
    let cut = match part(b"abc", 3, "1") {
        Answer::Ran(ran) => Answer::Ran(zcmd::protocol::reply::Ran {
            truncated: Some(OutputBytes { stdout: 999, stderr: 999 }),
            ..ran
        }),
        other => other,
    };
    let sum = sum(b"abc");
    let wrong_sum = about(r#"{"bytes":3,"sha256":"00","size":3,"version":"1"}"#);
    let wrong_bytes = format!(r#"{{"bytes":4,"sha256":"{sum}","size":4,"version":"1"}}"#);
    let too_small = format!(r#"{{"bytes":3,"sha256":"{sum}","size":2,"version":"1"}}"#);
    let cases = [
        (about(""), "makes no sense"),
        (about("{}"), "makes no sense: bytes is missing"),
        (about(r#"{"bytes":-1}"#), "makes no sense"),
        (wrong_sum, "not what the host sent"),
        (about(&wrong_bytes), "not what the host sent"),
        (about(&too_small), "not what the host sent"),
        (part(b"", 3, "1"), "fewer bytes than it tells"),
        (cut, "output was cut"),
        (value("1"), "no reply to what was asked"),
    ];
    for (answer, message) in cases {
        here.run(&Played::always(answer), &["get", "a"]).is(255, "", message);
        assert_eq!(here.names(), ["own"], "{message}");
    }
    // Another file from the second piece on.
    let mut count = 0;
    let played = Played::new(move |request, caller| {
        count += 1;
        caller.reply(request, part(b"abc", 6, &count.to_string()));
        true
    });
    here.run(&played, &["get", "a"]).is(255, "", "was changed on the host meanwhile");
    assert_eq!(here.names(), ["a.part", "own"]);
}

#[test]
fn a_host_that_makes_no_progress_ends_a_put() {
    let here = Here::new("stuck");
    for (state, message) in [
        (r#"{"have":0,"done":false}"#, "has lost the pieces"),
        (r#"{"have":9,"done":false}"#, "has lost the pieces"),
        (r#"{"have":99,"done":false}"#, "has lost the pieces"),
        (r#"{"have":3,"done":true}"#, ""),
        ("[]", "makes no sense"),
    ] {
        let played = Played::always(Answer::Ran(ran(Ended::Exited(0), state.as_bytes(), b"")));
        let run = here.run(&played, &["put", "own", "a"]);
        assert!(run.status == 255 && run.err.contains(message), "{state} {run:?}");
        assert!(played.seen().len() <= 2, "{state}");
    }
}

#[test]
fn a_refusal_for_a_time_is_waited_for_within_the_time_of_a_request() {
    let here = Here::new("waits");
    let busy = |wait| Error {
        retry_after: Some(Duration::from_millis(wait)),
        ..error(Code::Busy, "too many", Some(false))
    };
    let mut refusals = 3;
    let played = Played::new(move |request, caller| {
        refusals -= 1;
        let is_refused = refusals >= 0;
        let answer = if is_refused { Answer::Error(busy(1)) } else { part(b"abc", 3, "1") };
        caller.reply(request, answer);
        true
    });
    here.run(&played, &["get", "a"]).is(0, "", "");
    assert_eq!((played.seen().len(), here.names().len()), (4, 2));
    let played = Played::always(Answer::Error(busy(3_600_000)));
    here.run(&played, &["get", "b"]).is(125, "", "too many; try again in 3600.0 s");
    let played = Played::always(Answer::Error(busy(1)));
    here.run(&played, &["--timeout", "0.2", "get", "b"]).is(125, "", "too many; try again");
}

#[test]
fn ctrl_c_ends_a_copy_and_its_command() {
    let here = Here::new("interrupt");
    let mut asked = None;
    let played = Played::new(move |request, caller| {
        match (target(request), &asked) {
            (None, _) => asked = Some(request.clone()),
            (Some(id), Some(command)) => {
                assert_eq!(command.id.as_ref(), Some(id));
                caller.reply(command, cancelled("SIGTERM"));
            }
            _ => panic!("nothing runs"),
        }
        true
    });
    let mut command = played.zcmd(&["get", "a"]);
    command.current_dir(&here.0);
    let client = Client::start(command);
    played.wait_for(1);
    client.interrupt();
    client.end().is(130, "", "");
    // While it waits for its turn, too.
    let wait = Some(Duration::from_secs(50));
    let busy = Error { retry_after: wait, ..error(Code::Busy, "too many", Some(false)) };
    let played = Played::always(Answer::Error(busy));
    let mut command = played.zcmd(&["get", "a"]);
    command.current_dir(&here.0);
    let client = Client::start(command);
    played.wait_for(1);
    client.interrupt();
    client.end().is(130, "", "");
    assert_eq!(here.names(), ["own"]);
}
