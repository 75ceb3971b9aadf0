//! What the daemon tells its supervisor, which the test plays with a socket of its own.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use serde_json::json;

use super::signals::{SIGHUP, SIGTERM};
use crate::house::{House, PATIENCE, folder, receive, sh, until, zcmdd};

/// A supervisor's socket and the value of `NOTIFY_SOCKET` for it.
fn listen(name: &str) -> (UnixDatagram, String) {
    let socket = match name.strip_prefix('@') {
        Some(name) => {
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
        }
        None => UnixDatagram::bind(name).unwrap(),
    };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, name.to_owned())
}

fn next(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let count = socket.recv(&mut bytes).expect("a message in time");
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

#[test]
fn a_supervisor_is_told_of_the_start_each_reload_and_the_end() {
    let place = folder();
    let path = place.join("notify").display().to_string();
    for name in [path, format!("@zcmd-test-{}", std::process::id())] {
        let (socket, name) = listen(&name);
        let variables =
            [("NOTIFY_SOCKET", &*name), ("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "1")];
        let mut house = House::with(json!({"env": sh("env; sleep 0.3")}), &variables);
        let ready = next(&socket);
        assert_eq!(ready.lines().next(), Some("READY=1"), "{ready}");
        assert!(ready.contains(&format!("STATUS=listens at {}", house.tcp)), "{ready}");

        let environment = house.os("env", &[])["result"]["stdout"].as_str().unwrap().to_owned();
        assert!(environment.contains("PATH="), "{environment}");
        for variable in ["NOTIFY", "WATCHDOG"] {
            assert!(!environment.contains(variable), "{environment}");
        }

        for (text, status) in [("{", "; the last reload was refused: "), ("{}", "STATUS=")] {
            fs::write(house.path("commands.json"), text).unwrap();
            house.signal(SIGHUP);
            let reloading = next(&socket);
            let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(time.parse::<u64>().unwrap() > 0);
            let ready = next(&socket);
            assert!(ready.starts_with("READY=1\n") && ready.contains(status), "{ready}");
            assert_eq!(ready.contains("refused"), text == "{", "{ready}");
        }
        house.signal(SIGTERM);
        let stopping = next(&socket);
        assert!(stopping.starts_with("STOPPING=1\nSTATUS="), "{stopping}");
        assert_eq!(house.wait().code(), Some(0));
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 4096]).is_err(), "no sign of life: it is another's watchdog");
        assert!(house.logged("supervisor_not_told").is_empty());
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_daemon_with_a_watchdog_gives_signs_of_life_also_while_it_drains() {
    let place = folder();
    let (socket, name) = listen(&place.join("notify").display().to_string());
    let variables = [("NOTIFY_SOCKET", &*name), ("WATCHDOG_USEC", "200000")];
    let mut house = House::with(json!({"talk": sh("sleep 1; echo done")}), &variables);
    assert!(next(&socket).starts_with("READY=1"));
    for _ in 0..3 {
        assert_eq!(next(&socket), "WATCHDOG=1");
    }
    let busy = house.dealer();
    house.send(&busy, json!({"command_type": "os", "command_name": "talk"}));
    until("a running command", || (!house.logged("command_accepted").is_empty()).then_some(()));
    house.signal(SIGTERM);
    until("the drain", || next(&socket).starts_with("STOPPING=1").then_some(()));
    for _ in 0..3 {
        assert_eq!(next(&socket), "WATCHDOG=1");
    }
    assert_eq!(receive(&busy)["result"]["stdout"], "done\n");
    assert_eq!(house.wait().code(), Some(0));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_socket_that_cannot_be_one_is_an_error_and_one_that_is_gone_a_line_in_the_log() {
    let output = zcmdd(&[
        ("JWT_SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyz"),
        ("NOTIFY_SOCKET", "notify"),
    ])
    .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("NOTIFY_SOCKET: it is neither an absolute path"), "{said}");

    let house = House::with(json!({}), &[("NOTIFY_SOCKET", "/nonexistent/notify")]);
    let lines = house.logged("supervisor_not_told");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0]["error"].as_str().unwrap().contains("No such file"), "{lines:?}");
}
