//! Of what a command starts, nothing is left that may not be; other processes are left alone.

use std::fs;

use serde_json::json;

use crate::house::{self, House, code, is_alive, sh, until};
use crate::{all_end, child, pids, running};

#[test]
fn old_wound_a_tree_of_four_does_not_survive_its_command() {
    let house = House::new(json!({
        "tree": {"run": [child(), "tree"], "grace_seconds": 1, "timeout_seconds": 60},
        "stay": {"run": [child(), "tree-and-wait"], "grace_seconds": 1, "timeout_seconds": 1},
    }));
    // The reply comes at the end of the command, while the stubborn one is still there.
    let reply = house.os("tree", &[]);
    assert_eq!(reply["result"]["exit_code"], 0, "{reply}");
    let tree = pids(&reply);
    assert_eq!(tree.len(), 4);
    assert!(is_alive(&tree[3]), "the reply does not wait for what ignores SIGTERM");
    all_end(&tree);
    until("no running command", || (running(&house) == 0).then_some(()));

    let reply = house.os("stay", &[]);
    assert_eq!(code(&reply), "timed_out");
    let tree = pids(&reply);
    assert_eq!(tree.len(), 2);
    all_end(&tree);
}

#[test]
fn what_wipes_its_environment_and_loses_its_parent_is_ended_too() {
    let house = House::new(json!({
        "escape": {"run": [child(), "escape"], "grace_seconds": 1},
        "quiet": sh(":"),
    }));
    let escaped = pids(&house.os("escape", &[]));
    house.os("quiet", &[]);
    all_end(&escaped);
}

#[test]
fn what_may_be_left_running_is_left_running() {
    let house = House::new(json!({
        "leave": {"run": [child(), "tree"], "leave_children": true},
        "quiet": sh(":"),
    }));
    let tree = pids(&house.os("leave", &[]));
    assert_eq!(running(&house), 0);
    house.os("quiet", &[]);
    for pid in &tree {
        assert!(is_alive(pid));
        house::kill(pid.parse().unwrap(), 9);
    }
    all_end(&tree);
}

#[test]
fn a_shutdown_ends_what_commands_left() {
    let mut house = House::with(
        json!({"tree": {"run": [child(), "tree"], "grace_seconds": 1}}),
        &[("SHUTDOWN_GRACE_SECONDS", "0")],
    );
    let tree = pids(&house.os("tree", &[]));
    house.signal(15);
    assert_eq!(house.wait().code(), Some(0));
    assert!(tree.iter().all(|pid| !is_alive(pid)), "all ended before the daemon did");
}

#[test]
fn old_wound_processes_that_are_not_a_commands_are_left_alone() {
    // An entry point often starts a helper, and then becomes the daemon.
    let house = House::begun_by(
        r#"sleep 300 & echo $! > "$FOLDER/helper"; exec "$@""#,
        json!({"quiet": sh(":")}),
    );
    house.os("quiet", &[]);
    house.os("quiet", &[]);
    let helper = fs::read_to_string(house.path("helper")).unwrap();
    assert!(is_alive(helper.trim()));
    house::kill(helper.trim().parse().unwrap(), 9);
}

#[test]
fn old_wound_orphans_of_helpers_that_were_there_before_are_left_alone() {
    // Its number is written when it exists, so each step below tells where it went missing.
    let house = House::begun_by(
        r#"sh -c 'while [ ! -e "$FOLDER/go" ]; do sleep 0.05; done
            env -i setsid sleep 300 & echo $! > "$FOLDER/orphan"' & exec "$@""#,
        json!({"quiet": sh(":")}),
    );
    fs::write(house.path("go"), "").unwrap();
    let orphan = until("the number of the orphan", || {
        let pid = fs::read_to_string(house.path("orphan")).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    });
    let status = || {
        let status = fs::read_to_string(format!("/proc/{orphan}/status"));
        status.unwrap_or_else(|error| panic!("process {orphan} is gone: {error}"))
    };
    until("the orphan's program", || status().contains("Name:\tsleep").then_some(()));
    until("an orphan that is the daemon's child", || {
        status().contains(&format!("PPid:\t{}\n", house.pid())).then_some(())
    });
    (0..20).for_each(|_| drop(house.os("quiet", &[])));
    assert!(is_alive(&orphan));
    house::kill(orphan.parse().unwrap(), 9);
}

#[test]
fn old_wound_an_orphan_of_a_session_outside_the_pid_namespace_ended_the_daemon() {
    // As after `docker exec`: the daemon is the first process of a container.
    if !house::is_root("a process namespace") {
        return;
    }
    let house = House::begun_by(
        r#"exec unshare --pid --fork --kill-child --mount-proc sh -c '
            sh -c "while [ ! -e $FOLDER/go ]; do sleep 0.05; done
                sleep 300 & echo \$! > $FOLDER/orphan" & exec "$@"' sh "$@""#,
        json!({"alive": {
            "run": ["/bin/sh", "-c", "kill -0 \"$0\"", "{pid}"],
            "parameters": [{"name": "pid", "type": "text"}],
        }}),
    );
    fs::write(house.path("go"), "").unwrap();
    let orphan = until("the orphan", || {
        let pid = fs::read_to_string(house.path("orphan")).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    });
    for _ in 0..20 {
        let reply = house.os("alive", &[&orphan]);
        assert_eq!(reply["result"]["exit_code"], 0, "{reply}");
    }
}

#[test]
fn old_wound_leave_children_of_one_command_spares_nothing_of_another() {
    let forged = "ZCMD_JOB=$(echo $ZCMD_JOB | sed s/own/left/) \"$0\" session & echo $!; sleep 0.1";
    let house = House::new(json!({
        "leave": {"run": [child(), "tree"], "leave_children": true},
        "escape": {"run": [child(), "escape"], "grace_seconds": 1},
        "forge": {"run": ["/bin/sh", "-c", forged, child()], "grace_seconds": 1},
        "quiet": sh(":"),
    }));
    let left = pids(&house.os("leave", &[]));
    let escaped = pids(&house.os("escape", &[]));
    house.os("quiet", &[]);
    all_end(&escaped);
    let forged = pids(&house.os("forge", &[]));
    assert_eq!(forged.len(), 1);
    all_end(&forged);
    for pid in &left {
        assert!(is_alive(pid));
        house::kill(pid.parse().unwrap(), 9);
    }
}

#[test]
fn a_background_process_has_its_grace() {
    let house = House::new(json!({
        "late": {"run": ["/bin/sh", "-c", "trap '' TERM; sleep 300 & echo $!"], "grace_seconds": 60},
    }));
    for _ in 0..20 {
        let pid = pids(&house.os("late", &[])).remove(0);
        assert!(is_alive(&pid), "it was asked to end, and may take its time");
        house::kill(pid.parse().unwrap(), 9);
        until("a free place", || (running(&house) == 0).then_some(()));
    }
}
