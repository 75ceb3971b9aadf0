//! A command cannot escape its limits on time, terminal, rights and the end of the daemon: each test
//! plays one way in which it once could.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use house::{House, code, is_alive, receive, sh, until};
use serde_json::{Value, json};

/// The misbehaving command, which is built beside the tests.
fn child() -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_zcmdd")).parent().unwrap();
    programs.join("examples/child").display().to_string()
}

fn stdout(reply: &Value) -> &str {
    reply["result"]["stdout"].as_str().unwrap_or_else(|| panic!("{reply}"))
}

/// Whether a test has what it needs; in CI it always has.
fn given(what: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI has no {what}");
        println!("skipped: there is no {what}");
    }
    there
}

fn is_root() -> bool {
    given("root", rustix::process::geteuid().is_root())
}

fn has_python() -> bool {
    given("python3", Command::new("python3").arg("--version").output().is_ok())
}

/// Compiles a program of C.
fn cc(house: &House, name: &str, source: &str, flags: &[&str]) -> String {
    let path = house.path(name);
    fs::write(format!("{path}.c"), source).unwrap();
    let status = Command::new("cc").args(flags).args(["-o", &path, &format!("{path}.c")]).status();
    assert!(status.unwrap().success());
    path
}

#[test]
fn old_wound_a_command_that_changes_its_process_group_is_ended() {
    let regroup = json!({"run": [child(), "regroup"], "timeout_seconds": 1, "grace_seconds": 1});
    let house = House::new(json!({"regroup": regroup}));
    let reply = house.os("regroup", &[]);
    assert_eq!((code(&reply), &reply["result"]["signal"]), ("timed_out", &json!("SIGTERM")));
}

#[test]
fn old_wound_a_command_has_no_terminal_of_the_daemon() {
    if !has_python() {
        return;
    }
    // The daemon becomes the leader of a session with a terminal, as beneath a shell.
    let script = r#"exec python3 -c '
import fcntl, os, sys, termios
control, terminal = os.openpty()
os.setsid()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.set_inheritable(control, True)
os.execv(sys.argv[1], sys.argv[1:])' "$@""#;
    let house = House::begun_by(
        script,
        json!({"tty": sh("if (: < /dev/tty) 2>/dev/null; then echo open; else echo closed; fi")}),
    );
    let stat = fs::read_to_string(format!("/proc/{}/stat", house.pid())).unwrap();
    let terminal = stat.rsplit(") ").next().unwrap().split(' ').nth(4).unwrap();
    assert_ne!(terminal, "0", "the daemon has a terminal");
    assert_eq!(stdout(&house.os("tty", &[])), "closed\n");
}

#[test]
fn old_wound_no_code_of_a_user_runs_with_the_rights_of_the_daemon() {
    if !is_root() {
        return;
    }
    let folder = house::folder();
    let library = folder.join("evil.so").display().to_string();
    let house = House::new(json!({
        "id": {"run": ["/usr/bin/id", "-u"], "user": "nobody", "env": {"LD_PRELOAD": library}},
    }));
    let witness = folder.join("users").display().to_string();
    let source = format!(
        r#"#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void run(void) {{
    FILE *file = fopen("{witness}", "a");
    if (file) {{ fprintf(file, "%d\n", (int)geteuid()); fclose(file); }}
}}"#
    );
    fs::write(&witness, "").unwrap();
    Command::new("chmod").args(["666", &witness]).status().unwrap();
    let built = cc(&house, "evil.so", &source, &["-shared", "-fPIC"]);
    fs::copy(built, &library).unwrap();
    assert_eq!(stdout(&house.os("id", &[])), "65534\n");
    assert_eq!(fs::read_to_string(&witness).unwrap(), "65534\n", "once, and as its user");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn old_wound_a_traced_process_that_has_ended_does_not_make_the_loop_spin() {
    let folder = house::folder();
    let traced = folder.join("traced").display().to_string();
    let house = House::new(json!({
        "traced": {"run": [traced], "timeout_seconds": 2, "grace_seconds": 1},
    }));
    let source = r#"#include <sys/ptrace.h>
#include <unistd.h>
int main(void) {
    int ready[2];
    char byte;
    if (pipe(ready)) return 1;
    if (fork() == 0) {
        if (ptrace(PTRACE_SEIZE, getppid(), 0, 0)) _exit(1);
        close(ready[0]);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    return read(ready[0], &byte, 1) == 1 ? 7 : 2;
}"#;
    fs::copy(cc(&house, "traced", source, &[]), &traced).unwrap();
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", house.pid())).unwrap();
        let fields: Vec<i64> =
            stat.rsplit(") ").next().unwrap().split(' ').filter_map(|n| n.parse().ok()).collect();
        // utime and stime; the state, in front of them, is no number.
        fields[10] + fields[11]
    };
    let before = ticks();
    let reply = house.os("traced", &[]);
    assert_eq!((code(&reply), &reply["result"]["exit_code"]), ("timed_out", &json!(7)), "{reply}");
    let spent = ticks() - before;
    assert!(spent < 50, "{spent} ticks of a processor in 2 seconds");
    fs::remove_dir_all(folder).unwrap();
}

/// Where cgroup v2 is mounted.
fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(PathBuf::from(line.split(' ').nth(4)?))
}

/// A cgroup for a daemon, which goes with it.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Self> {
        let cgroup = cgroup_root()?.join(format!("zcmd-test-{}-{name}", std::process::id()));
        fs::create_dir(&cgroup).ok()?;
        cgroup.join("cgroup.kill").exists().then_some(Self(cgroup))
    }

    fn delegate(&self) {
        rustix::fs::setxattr(&self.0, "user.delegate", b"1", rustix::fs::XattrFlags::empty())
            .unwrap();
    }

    /// A daemon in it.
    fn house(&self, commands: Value) -> House {
        let script = format!(r#"echo $$ > "{}/cgroup.procs"; exec "$@""#, self.0.display());
        House::begun_by(&script, commands)
    }

    fn inner(&self) -> usize {
        fs::read_dir(&self.0).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        until("an empty cgroup", || {
            for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(entry.path());
            }
            fs::remove_dir(&self.0).is_ok().then_some(())
        });
    }
}

#[test]
fn old_wound_what_has_escaped_from_everything_but_its_cgroup_is_ended() {
    let cgroup = if is_root() { Cgroup::new("delegated") } else { None };
    if !given("cgroup v2 with cgroup.kill", cgroup.is_some()) {
        return;
    }
    let cgroup = cgroup.unwrap();
    cgroup.delegate();
    let house = cgroup.house(json!({
        "leave": {"run": ["/bin/sh", "-c", "env -i setsid sleep 300 & echo $!"],
                  "leave_children": true},
        "escape": {"run": [child(), "escape"], "grace_seconds": 1},
        "sleep": {"run": [child(), "tree-and-wait"], "timeout_seconds": 1, "grace_seconds": 1},
        "quiet": sh(":"),
    }));
    assert_eq!(house.logged("started")[0]["containment"], "cgroup");
    let left = stdout(&house.os("leave", &[])).trim().to_owned();
    let escaped = stdout(&house.os("escape", &[])).trim().to_owned();
    until("the end of what has escaped", || (!is_alive(&escaped)).then_some(()));
    assert_eq!(code(&house.os("sleep", &[])), "timed_out");
    house.os("quiet", &[]);
    until("one cgroup, of what is left", || (cgroup.inner() == 1).then_some(()));
    assert!(is_alive(&left), "it has no mark, but the cgroup of its command");
    house::kill(left.parse().unwrap(), 9);
    until("no cgroup", || {
        house.os("quiet", &[]);
        (cgroup.inner() == 0).then_some(())
    });
}

#[test]
fn old_wound_a_cgroup_in_which_a_command_made_others_stayed_for_ever() {
    let cgroup = if is_root() { Cgroup::new("nested") } else { None };
    if !given("cgroup v2 with cgroup.kill", cgroup.is_some()) {
        return;
    }
    let cgroup = cgroup.unwrap();
    cgroup.delegate();
    let root = cgroup_root().unwrap();
    let script = format!(
        "cd {}$(sed -n 's/^0:://p' /proc/self/cgroup) && mkdir -p a/b c && echo made",
        root.display()
    );
    let house = cgroup.house(json!({"nest": sh(&script), "quiet": sh(":")}));
    assert_eq!(stdout(&house.os("nest", &[])), "made\n");
    until("no cgroup", || {
        house.os("quiet", &[]);
        (cgroup.inner() == 0).then_some(())
    });
}

#[test]
fn a_cgroup_that_is_not_delegated_is_not_touched() {
    let cgroup = if is_root() { Cgroup::new("plain") } else { None };
    if !given("cgroup v2 with cgroup.kill", cgroup.is_some()) {
        return;
    }
    let cgroup = cgroup.unwrap();
    let house = cgroup.house(json!({"inner": {"run": ["/bin/cat", "/proc/self/cgroup"]}}));
    assert_eq!(house.logged("started")[0]["containment"], "marks");
    let name = cgroup.0.file_name().unwrap().to_str().unwrap().to_owned();
    let paths = stdout(&house.os("inner", &[])).to_owned();
    assert!(paths.lines().any(|line| line == format!("0::/{name}")), "{paths}");
}

#[test]
fn old_wound_a_command_of_the_same_user_does_not_read_the_daemons_secrets() {
    if !is_root() {
        return;
    }
    let script = r#"cp "$1" "$FOLDER/zcmdd"; chown -R 65534:65534 "$FOLDER"
        exec setpriv --reuid=65534 --regid=65534 --clear-groups "$FOLDER/zcmdd""#;
    let read =
        "cat /proc/$PPID/environ /proc/$PPID/mem /proc/$PPID/fd/* 2>/dev/null | wc -c; id -u";
    let house = House::begun_by(
        script,
        json!({
            "read": sh(read),
            "tree": {"run": ["/bin/sh", "-c", "setsid sleep 300 & echo $!"], "grace_seconds": 1},
        }),
    );
    // That the daemon starts commands and finds what they leave shows that it still reads /proc.
    assert_eq!(stdout(&house.os("read", &[])), "0\n65534\n");
    let left = stdout(&house.os("tree", &[])).trim().to_owned();
    until("the end of what was left", || (!is_alive(&left)).then_some(()));
}

#[test]
fn a_secret_in_the_environment_beside_a_command_without_a_user_is_warned_of() {
    let key = "0123456789abcdefghijklmnopqrstuvwxyz";
    let folder = house::folder();
    let file = folder.join("commands.json").display().to_string();
    for (user, warned) in [(None, true), (Some("nobody"), false)] {
        let mut entry = json!({"run": ["/bin/true"]});
        if let Some(user) = user {
            entry["user"] = user.into();
        }
        fs::write(&file, json!({"a": entry}).to_string()).unwrap();
        let check = house::zcmdd(&[("JWT_SECRET_KEY", key), ("COMMANDS_FILE", &file)])
            .arg("--check")
            .output()
            .unwrap();
        let text = String::from_utf8(check.stderr).unwrap();
        assert_eq!(text.contains("JWT_SECRET_KEY is in the environment"), warned, "{text}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn old_wound_what_commands_of_a_killed_daemon_started_is_ended_by_the_next_start() {
    let commands = json!({
        "tree": {"run": [child(), "start", "session"], "timeout_seconds": 300},
        "stay": {"run": ["/bin/sh", "-c", "\"$0\" start session; exec sleep 300", child()],
                 "timeout_seconds": 300},
        "leave": {"run": [child(), "start", "session"], "leave_children": true},
    });
    let (mut house, other) = (House::new(commands.clone()), House::new(commands));
    let stay = |house: &House| {
        let socket = house.dealer();
        let request = json!({"command_type": "os", "command_name": "stay", "stream": true});
        house.send(&socket, request);
        receive(&socket)["data"].as_str().unwrap().trim().to_owned()
    };
    let (mine, others) = (stay(&house), stay(&other));
    let left = stdout(&house.os("leave", &[])).trim().to_owned();
    house.signal(9);
    house.wait();
    assert!(is_alive(&mine));
    house.start_again();
    until("the end of what was left over", || (!is_alive(&mine)).then_some(()));
    until("a line about it", || (house.logged("ended_leftovers").len() == 1).then_some(()));
    assert!(is_alive(&left) && is_alive(&others));
    for pid in [left, others] {
        house::kill(pid.parse().unwrap(), 9);
    }
}

#[test]
fn old_wound_a_second_signal_ended_the_daemon_and_left_the_trees_of_its_commands() {
    // It is busy, and so may be gone, its children being orphans, before these are signalled.
    let script =
        "for i in 1 2 3 4 5 6 7 8; do setsid sleep 300 & echo $!; done; while :; do :; done";
    let tree = json!({"run": ["/bin/sh", "-c", script], "timeout_seconds": 300});
    for _ in 0..10 {
        let mut house = House::new(json!({"tree": tree.clone()}));
        let socket = house.dealer();
        house.send(&socket, json!({"command_type": "os", "command_name": "tree", "stream": true}));
        let mut text = String::new();
        until("eight processes", || {
            text.push_str(receive(&socket)["data"].as_str().unwrap());
            (text.lines().count() == 8).then_some(())
        });
        house.signal(15);
        until("a drain", || (house.logged("draining").len() == 1).then_some(()));
        house.signal(15);
        house.wait();
        until("the end of the tree", || (!text.lines().any(is_alive)).then_some(()));
    }
}

/// One line of processes, or as many as two to the power of its argument, in which each forks the
/// next one, in a session of its own, and ends; for ten seconds, if they are let.
const STORM: &str = "
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **arguments) {
    time_t end = time(NULL) + 10;
    if (fork() != 0) return 0;
    for (int doublings = atoi(arguments[1]); doublings > 0; doublings--) fork();

    while (time(NULL) < end) {
        setsid();
        if (fork() > 0) _exit(0);
    }
    return 0;
}";

#[test]
fn old_wound_a_fork_storm_outlived_the_place_of_its_command_and_the_daemon() {
    if !is_root() {
        return;
    }
    for (ends, doublings) in (0..20).map(|number| (number % 2 == 0, number / 8)) {
        let mut house = House::with(json!({}), &[("MAX_CONCURRENT_COMMANDS", "1")]);
        let path = cc(&house, "storm", STORM, &[]);
        // Of all tests at the same time; what fork(2) refuses is tried again.
        let storm =
            json!({"run": [path, doublings.to_string()], "user": "nobody", "processes_max": 64});
        let commands = json!({"storm": storm, "next": sh("exit 0")});
        fs::write(house.path("commands.json"), commands.to_string()).unwrap();
        house.signal(1);
        until("the reload", || (!house.logged("reloaded").is_empty()).then_some(()));
        assert_eq!(house.os("storm", &[])["status"], "ok");
        if ends {
            house.signal(15);
            assert!(house.wait().success());
        } else {
            assert_eq!(house.os("next", &[])["status"], "ok");
        }
        let is_of_it = |entry: fs::DirEntry| {
            fs::read_link(entry.path().join("exe")).is_ok_and(|program| program == Path::new(&path))
        };
        // It is looked for many times, since one that forks is easily missed.
        let found = (0..100).any(|_| fs::read_dir("/proc").unwrap().flatten().any(is_of_it));
        assert!(!found, "some of it is left, ends: {ends}, doublings: {doublings}");
    }
}
