//! The file of the log, and what is in it.

use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use super::signals::{SIGHUP, SIGTERM};
use crate::house::{self, House, code, folder, receive, until, write_secret, zcmdd};

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
fn old_wound_another_writer_of_standard_error_overwrote_the_first_line() {
    let place = folder();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    let key = place.join("key").display().to_string();
    let ipc = format!("ipc://{}/s", place.display());
    // As a shell does with 2> log: no O_APPEND, and one offset for all who share it.
    let log = place.join("log");
    let mut shared = fs::File::create(&log).unwrap();
    let mut daemon = zcmdd(&[("JWT_SECRET_KEY_FILE", &*key), ("SERVER_ADDRESS", &*ipc)])
        .stdin(std::process::Stdio::null())
        .stderr(shared.try_clone().unwrap())
        .spawn()
        .unwrap();
    let text = || fs::read_to_string(&log).unwrap();
    until("the start", || text().contains("\"started\"").then_some(()));
    shared.write_all(b"another's line\n").unwrap();
    house::kill(i32::try_from(daemon.id()).unwrap(), SIGTERM);
    until("the end", || daemon.try_wait().unwrap());
    let text = text();
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with('{') && first.ends_with('}'), "{text}");
    assert_eq!(text.matches("another's line\n").count(), 1, "{text}");
    fs::remove_dir_all(place).unwrap();
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

/// A file system in memory, which is gone at the end of the test.
struct Disk(String);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l", &self.0]).status();
    }
}

/// Whether commands run while the log cannot be written.
#[test]
fn old_wound_a_command_ran_without_its_line_while_the_disk_of_the_log_was_full() {
    if !house::is_root("a file system of 64 KiB") {
        return;
    }
    for (required, runs) in [("no", true), ("yes", false)] {
        let script = format!(
            "mkdir $FOLDER/disk && mount -t tmpfs -o size=64k zcmd-test $FOLDER/disk && \
             ln -s disk/log $FOLDER/log && export LOG_REQUIRED={required} && exec \"$@\""
        );
        let house = House::begun_by(&script, json!({"hello": {"run": ["/bin/echo", "hello"]}}));
        let disk = Disk(house.path("disk"));
        let stuck = || house.ask(json!({"command_type": "status"}))["result"]["log"].clone();
        assert_eq!(stuck(), json!({"backlog": 0, "lost": 0, "last_error": null}));
        let filler = house.path("disk/filler");
        let full = fs::File::create(&filler).unwrap().write_all(&[0; 1 << 17]);
        assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        // The last page of the log has some room.
        let log = until("a log that is stuck", || {
            house.os("hello", &[]);
            Some(stuck()).filter(|log| log["backlog"] != 0)
        });
        assert!(log["last_error"].as_str().unwrap().starts_with("No space left"), "{log}");
        let reply = house.os("hello", &[]);
        assert_eq!(reply["status"] == "ok", runs, "{required} {reply}");
        if !runs {
            let error = &reply["error"];
            assert_eq!((&error["code"], &error["executed"]), (&json!("internal"), &json!(false)));
            let output = house.run(&["os", "hello"]);
            assert_eq!(output.status.code(), Some(125), "{output:?}");
        }
        let maths = house.ask(json!({"command_type": "compute", "expression": "1+1"}));
        assert_eq!(maths["result"], 2);
        fs::remove_file(filler).unwrap();
        until("a command that runs", || (house.os("hello", &[])["status"] == "ok").then_some(()));
        let log = stuck();
        assert_eq!((&log["backlog"], &log["lost"]), (&json!(0), &json!(0)));
        let (accepted, ended) = (house.logged("command_accepted"), house.logged("command_ended"));
        assert_eq!(accepted.len(), ended.len(), "{required}");
        drop(disk);
    }
}
