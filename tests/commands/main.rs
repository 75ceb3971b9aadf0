//! Commands do exactly what the owner allowed, and nothing of them is left.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod children;
#[path = "../house/mod.rs"]
mod house;

use std::fs;

use house::{House, code, is_alive, receive, sh, until};
use serde_json::{Value, json};

/// The misbehaving command, which is built beside the tests.
fn child() -> String {
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_zcmdd")).parent().unwrap();
    let child = programs.join("examples/child");
    assert!(child.exists(), "cargo build --examples makes {}", child.display());
    child.display().to_string()
}

fn pids(reply: &Value) -> Vec<String> {
    let stdout = reply["result"]["stdout"].as_str().unwrap_or_else(|| panic!("{reply}"));
    stdout.split_whitespace().map(str::to_owned).collect()
}

fn all_end(pids: &[String]) {
    for (index, pid) in pids.iter().enumerate() {
        until(&format!("the end of process {index}"), || (!is_alive(pid)).then_some(()));
    }
}

fn running(house: &House) -> Value {
    house.ask(json!({"command_type": "status"}))["result"]["commands"]["running"].clone()
}

#[test]
fn a_gigabyte_of_output_is_counted_and_not_held() {
    let house = House::new(json!({
        "gigabyte": {"run": ["/usr/bin/head", "-c", "1073741824", "/dev/zero"], "timeout_seconds": 300},
        "quiet": sh(":"),
    }));
    house.os("quiet", &[]);
    let before = house.proc_status("VmRSS");
    let socket = house.dealer();
    house.send(&socket, json!({"command_type": "os", "command_name": "gigabyte"}));
    let mut answers = 0;
    let mut most = 0;
    let reply = loop {
        let reply = house.ask(json!({"command_type": "compute", "expression": "1+1"}));
        assert_eq!(reply["result"], 2);
        answers += 1;
        most = most.max(house.proc_status("VmRSS"));
        if socket.poll(zmq::POLLIN, 0).unwrap() > 0 {
            break receive(&socket);
        }
    };
    let totals = json!({"stdout_bytes": 1_073_741_824, "stderr_bytes": 0});
    assert_eq!(reply["result"]["truncated"], totals);
    assert!(answers > 10, "{answers} answers to others meanwhile");
    // Before the reply is written: one cap, and what is in flight.
    assert!(most - before < 12 * 1024, "{} KiB more than before", most - before);
}

#[test]
fn two_thousand_commands_leave_no_descriptor_no_zombie_and_no_memory() {
    let house = House::with(
        json!({"quiet": sh("exit 0"), "absent": {"run": ["/nonexistent"]}}),
        &[("MAX_COMMANDS_PER_SUBJECT", "64"), ("MAX_CONCURRENT_COMMANDS", "64")],
    );
    // The daemon's own looks into /proc are no leak: it has the lists of its children open for a
    // moment at each SIGCHLD, also after the last reply.
    let descriptors = || {
        let entries = fs::read_dir(format!("/proc/{}/fd", house.pid())).unwrap().flatten();
        let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.filter(|target| !target.starts_with("/proc")).count()
    };
    let socket = house.dealer();
    let round = || {
        for name in ["quiet", "absent"] {
            let request = json!({"command_type": "os", "command_name": name});
            (0..50).for_each(|_| house.send(&socket, request.clone()));
        }
        (0..100).for_each(|_| drop(receive(&socket)));
    };
    (0..3).for_each(|_| round());
    let (before, memory) = (descriptors(), house.proc_status("VmRSS"));
    // A signal that interrupts libzmq must not cost a reply: there are two a command here.
    (0..20).for_each(|_| round());
    until(&format!("{before} descriptors again"), || (descriptors() <= before).then_some(()));
    let children = format!("/proc/{0}/task/{0}/children", house.pid());
    until("no zombies", || fs::read_to_string(&children).unwrap().is_empty().then_some(()));
    let grown = house.proc_status("VmRSS").saturating_sub(memory);
    assert!(grown < 1024, "{grown} KiB more than before");
}

#[test]
fn a_reader_that_does_not_keep_up_slows_its_command_and_nobody_else() {
    let house = House::new(json!({
        "endless": {"run": ["/bin/cat", "/dev/zero"], "timeout_seconds": 600},
    }));
    let slow = house.context.socket(zmq::DEALER).unwrap();
    slow.set_linger(0).unwrap();
    slow.set_rcvhwm(1).unwrap();
    slow.set_rcvbuf(4096).unwrap();
    slow.connect(&house.tcp).unwrap();
    let request = json!({"command_type": "os", "command_name": "endless", "stream": true, "id": 1});
    slow.send(house.body(request), 0).unwrap();
    let written = || {
        let status = house.ask(json!({"command_type": "status"}));
        status["result"]["totals"]["bytes"]["written_by_commands"].as_u64().unwrap()
    };
    let stalled = until("a command that is held up", || {
        let before = written();
        (0..20).for_each(|_| assert!(written() >= before));
        (before > 0 && written() == before).then_some(before)
    });
    assert!(house.proc_status("VmRSS") < 200_000, "{stalled} bytes held");
    // The reader goes away: its command ends.
    drop(slow);
    until("the end of the command", || (running(&house) == 0).then_some(()));
}

#[test]
fn cancel_ends_a_running_command_by_its_id() {
    let house = House::new(json!({"sleep": sh("echo $$; exec sleep 300")}));
    let socket = house.dealer();
    house.send(
        &socket,
        json!({"command_type": "os", "command_name": "sleep", "stream": true, "id": "x"}),
    );
    let pid = receive(&socket)["data"].as_str().unwrap().trim().to_owned();
    assert_eq!(
        house.ask(json!({"command_type": "cancel", "target": "x"}))["result"],
        json!({"cancelled": true})
    );
    let last = receive(&socket);
    assert_eq!((code(&last), &last["id"]), ("cancelled", &json!("x")));
    assert_eq!(
        (&last["error"]["executed"], &last["result"]["signal"]),
        (&json!(true), &json!("SIGTERM"))
    );
    assert!(!is_alive(&pid));
    assert_eq!(code(&house.ask(json!({"command_type": "cancel", "target": "x"}))), "not_found");
}

#[test]
fn a_launch_that_fails_at_any_step_is_not_started_and_told_to_the_log() {
    let gone = house::folder();
    let house = House::new(json!({
        "program": {"run": ["/nonexistent/program"]},
        "folder": {"run": ["/usr"]},
        "cwd": {"run": ["/bin/true"], "cwd": gone},
        "files": {"run": ["/bin/true"], "open_files_max": 18_446_744_073_709_551_615_u64},
    }));
    fs::remove_dir(gone).unwrap();
    for (name, step) in
        [("program", "exec: "), ("folder", "exec: "), ("cwd", "cwd: "), ("files", "limits: ")]
    {
        let reply = house.os(name, &[]);
        assert_eq!((code(&reply), &reply["error"]["executed"]), ("not_started", &json!(false)));
        let ended = house.logged("command_ended").pop().unwrap();
        assert!(ended["reason"].as_str().unwrap().starts_with(step), "{name}: {ended}");
    }
}

/// A source of repeatable chance (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

#[test]
fn five_hundred_values_made_to_break_out_are_refused_or_one_literal_argument() {
    let house = House::new(json!({
        "print": {"run": [child(), "print", "first", "--value={v}", "{v}", "last"],
                  "parameters": [{"name": "v", "type": "text", "max_bytes": 64}]},
    }));
    let pieces = [
        "; id",
        "$(id)",
        "`id`",
        "&& id",
        "| id",
        "> /tmp/x",
        "'",
        "\"",
        "\\",
        "*",
        "?",
        "~",
        "{v}",
        "{",
        "}",
        "%s",
        "$HOME",
        "--",
        "-x",
        "--config=/etc/shadow",
        " ",
        "\t",
        "\n",
        "\r",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "；",
        "﹣",
        "‐",
        "－x",
        "..",
        "../",
        "/etc/passwd",
        "#",
        "!",
        "a",
        "5 --evil -x",
        "é",
        "\u{202e}",
        "\u{feff}",
        "0x41",
        "%00",
        "\\0",
        "\u{1b}[2J",
    ];
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let socket = house.dealer();
    let (mut passed, mut refused) = (0, 0);
    for round in 0..600 {
        let value: String =
            (0..=chance.below(4)).map(|_| pieces[chance.below(pieces.len())]).collect();
        let value = if round % 50 == 0 { value.repeat(40) } else { value };
        house.send(
            &socket,
            json!({"command_type": "os", "command_name": "print", "parameters": [value]}),
        );
        let reply = receive(&socket);
        if reply["status"] == "ok" {
            let stdout = reply["result"]["stdout"].as_str().unwrap();
            assert_eq!(stdout, format!("first\0--value={value}\0{value}\0last\0"), "{value:?}");
            passed += 1;
        } else {
            assert_eq!(
                (code(&reply), &reply["error"]["executed"]),
                ("bad_parameter", &json!(false))
            );
            let lawful =
                !value.starts_with('-') && value.len() <= 64 && !value.contains(char::is_control);
            assert!(!lawful, "{value:?} was refused");
            refused += 1;
        }
    }
    assert!(passed > 200 && refused > 100, "{passed} passed, {refused} refused");
}
