//! The sockets of the daemon: addresses, modes and descriptors.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use serde_json::{Value, json};

use super::peers::Ends;
use crate::house::raw::Good;
use crate::house::{House, folder, until, zcmdd};

#[test]
fn old_wound_no_descriptor_of_the_daemon_survives_exec() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    good.is_answered();
    let folder = format!("/proc/{}/fdinfo", house.pid());
    let mut looked_at = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let information = fs::read_to_string(entry.path()).unwrap();
        let flags = information.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert!(number <= 2 || flags & 0o2_000_000 != 0, "{number} {flags:o}");
        looked_at += 1;
    }
    assert!(looked_at > 10);
}

#[test]
fn a_network_in_the_clear_is_refused_at_the_start_and_warned_of_when_allowed() {
    let key = ("JWT_SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyz");
    let output = zcmdd(&[key, ("SERVER_ADDRESS", "tcp://0.0.0.0:0")]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("zcmdd keygen --curve"));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = folder();
    let path = |name: &str| folder.join(name).display().to_string();
    let [log, socket] = ["log", "s"].map(path);
    let daemon = zcmdd(&[
        key,
        ("SERVER_ADDRESS", &format!("tcp://0.0.0.0:{port},ipc://{socket}")),
        ("ALLOW_CLEARTEXT", "yes"),
        ("DEFAULT_SCOPE", "status"),
        ("LOG_FILE", &log),
    ])
    .spawn();
    let _daemon = Ends(daemon.unwrap());
    let token = zcmdd(&[key]).args(["token", "--sub", "a"]).output().unwrap().stdout;
    let status = until("an answer", || {
        let mut zcmd = std::process::Command::new(env!("CARGO_BIN_EXE_zcmd"));
        zcmd.env("ZCMD_TOKEN", String::from_utf8_lossy(&token).trim_end());
        let output =
            zcmd.args(["--json", "--server", &format!("ipc://{socket}"), "status"]).output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).ok()
    });
    assert_eq!(status["result"]["cleartext"], true, "{status}");
    assert!(fs::read_to_string(&log).unwrap().contains("read the tokens"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_ipc_socket_has_its_mode_and_group_and_a_live_one_is_left_alone() {
    let group = rustix::process::getgid().as_raw().to_string();
    let house = House::with(json!({}), &[("IPC_GROUP", &group), ("IPC_MODE", "0620")]);
    let path = house.ipc.trim_start_matches("ipc://").to_owned();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.permissions().mode() & 0o777, found.gid().to_string()), (0o620, group));
    let start = |endpoint: &str| {
        zcmdd(&[
            ("JWT_SECRET_KEY_FILE", &house.path("key")),
            ("SERVER_ADDRESS", endpoint),
            ("LOG_FILE", "/dev/null"),
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let refused = |endpoint: &str, why: &str| {
        let output = start(endpoint).wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(why), "{text}");
    };
    refused(&house.ipc, "another process listens there");
    assert_eq!(house.ask(json!({"command_type": "ping"}))["status"], "ok");
    let file = house.path("file");
    fs::write(&file, "precious").unwrap();
    refused(&format!("ipc://{file}"), "not a socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    refused(&format!("ipc://{}/none/s", house.path("")), "cannot listen there");
    // A stale one is replaced, with the default mode.
    let stale = house.path("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    fs::set_permissions(&stale, fs::Permissions::from_mode(0o777)).unwrap();
    let _other = Ends(start(&format!("ipc://{stale}")));
    until("the new socket", || {
        let found = fs::metadata(&stale).ok();
        found.filter(|found| found.permissions().mode() & 0o777 == 0o660)
    });
}
