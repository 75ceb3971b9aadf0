//! Three daemons behind HAProxy with the configuration that is shipped: the spread, and what callers
//! get when a daemon is killed, stopped, drained.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;

use crate::house::{House, folder, kill, sh, skip, until};
use crate::text;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;
const SIGCONT: i32 = 18;

struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(house: &House, address: &str) -> Output {
    house.zcmd(&["--server", address, "--timeout", "5", "os", "who"]).output().unwrap()
}

/// The answers of so many requests, all of which must have one.
fn spread(house: &House, address: &str, count: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        let output = ask(house, address);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let name = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        *answers.entry(name).or_default() += 1;
    }
    answers
}

#[test]
fn three_daemons_behind_haproxy_share_requests_and_no_request_runs_twice() {
    if Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_err() {
        return skip("haproxy is missing");
    }
    let place = folder();
    let mut houses =
        ["a", "b", "c"].map(|name| House::new(json!({"who": sh(&format!("echo {name}"))})));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = text("deploy/haproxy.cfg").replace(":5555", &format!(":{port}"));
    for (house, port) in houses.iter().zip(["5561", "5562", "5563"]) {
        config = config.replace(&format!("127.0.0.1:{port}"), &house.tcp["tcp://".len()..]);
    }
    let file = place.join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let balancer = Balancer(command.spawn().unwrap());
    let address = format!("tcp://127.0.0.1:{port}");
    let is_answered = |house: &House| ask(house, &address).status.success().then_some(());
    until("the balancer", || is_answered(&houses[0]));

    let answers = spread(&houses[0], &address, 60);
    assert!(answers.len() == 3 && answers.values().all(|count| *count >= 15), "{answers:?}");

    // A daemon that is stopped takes connections, and greets no one: what it got did not run.
    kill(houses[2].pid(), SIGSTOP);
    let mut refused = 0;
    until("ten answers in a row", || {
        for _ in 0..10 {
            let output = ask(&houses[0], &address);
            match output.status.code() {
                Some(0) => {}
                Some(125) => {
                    refused += 1;
                    return None;
                }
                _ => panic!("{output:?}"),
            }
        }
        Some(())
    });
    assert!(refused < 10, "{refused}");
    kill(houses[2].pid(), SIGCONT);

    houses[1].signal(SIGKILL);
    houses[1].wait();
    let answers = spread(&houses[0], &address, 20);
    assert!(!answers.contains_key("b"), "{answers:?}");

    until("the daemon that goes on", || (ask(&houses[0], &address).stdout == b"c\n").then_some(()));
    houses[2].signal(SIGTERM);
    houses[2].wait();
    assert_eq!(spread(&houses[0], &address, 20), BTreeMap::from([("a".to_owned(), 20)]));

    let mut runs = BTreeMap::<String, usize>::new();
    for line in houses.iter().flat_map(|house| house.logged("command_accepted")) {
        *runs.entry(line["id"].to_string()).or_default() += 1;
    }
    assert!(runs.len() >= 110 && runs.values().all(|count| *count == 1), "{runs:?}");
    drop(balancer);
    fs::remove_dir_all(place).unwrap();
}
