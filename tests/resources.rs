//! The user of a command, and the kernel's limits on it: each limit bites, and only where it is
//! set.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;

use house::House;
use serde_json::{Value, json};

#[test]
fn a_command_runs_as_its_user() {
    if !house::is_root("becoming another user") {
        return;
    }
    let house = House::new(json!({
        "id": {"run": ["/usr/bin/id"], "user": "nobody"},
        "group": {"run": ["/usr/bin/id", "-u"], "user": "nobody", "group": "0"},
    }));
    let id = house.os("id", &[])["result"]["stdout"].as_str().unwrap().to_owned();
    assert!(id.starts_with("uid=65534(nobody)") && !id.contains("root"), "{id}");
    assert_eq!(house.os("group", &[])["result"]["stdout"], "65534\n");
}

/// A command within a limit, and the same without.
fn both(name: &str, mut entry: Value, limit: (&str, u64)) -> [(String, Value); 2] {
    let free = entry.clone();
    entry[limit.0] = json!(limit.1);
    [(name.to_owned(), entry), (format!("{name}-free"), free)]
}

#[test]
fn each_limit_of_a_command_bites() {
    let folder = house::folder();
    let [limited, free] = ["limited", "free"].map(|name| folder.join(name).display().to_string());
    let sh = |script: &str| json!({"run": ["/bin/sh", "-c", script]});
    let fork = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; echo all";
    let mut fork = json!({"run": ["/bin/sh", "-c", fork], "grace_seconds": 1});
    // The kernel counts the processes of a user, and does not count those of root.
    if rustix::process::geteuid().is_root() {
        fork["user"] = json!("nobody");
    }
    let write = json!({"run": ["/bin/sh", "-c", "exec head -c 100000 /dev/zero > \"$1\"", "sh", "{f}"],
        "parameters": [{"name": "f", "type": "path", "under": folder}]});
    let block = "if=/dev/zero of=/dev/null bs=256M count=1 status=none";
    let dd: Vec<&str> = ["/bin/dd"].into_iter().chain(block.split(' ')).collect();
    let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $i";
    let entries = [
        both("memory", json!({"run": dd}), ("memory_bytes_max", 64 << 20)),
        both("processes", fork, ("processes_max", 5)),
        both("file", write, ("file_bytes_max", 1000)),
        both("descriptors", sh("exec 3</dev/null; : </dev/null; echo open"), ("open_files_max", 4)),
        both("cpu", sh("while :; do :; done"), ("cpu_seconds_max", 1)),
    ];
    let mut commands: serde_json::Map<String, Value> = entries.into_iter().flatten().collect();
    // Without its limit, this one has an end all the same.
    commands["cpu-free"]["run"][2] = json!(spin);
    let house = House::new(Value::Object(commands));
    let run = |name: &str, values: &[&str]| house.os(name, values)["result"].clone();

    let memory = run("memory", &[]);
    assert_eq!(memory["exit_code"], 1, "{memory}");
    assert!(memory["stderr"].as_str().unwrap().contains("memory exhausted"), "{memory}");
    assert_eq!(run("memory-free", &[])["exit_code"], 0);

    let processes = run("processes", &[]);
    assert_eq!((&processes["exit_code"], &processes["stdout"]), (&json!(2), &json!("")));
    assert!(processes["stderr"].as_str().unwrap().contains("fork"), "{processes}");
    assert_eq!(run("processes-free", &[])["stdout"], "all\n");

    assert_eq!(run("file", &["limited"])["signal"], "SIGXFSZ");
    assert_eq!(fs::metadata(limited).unwrap().len(), 1000);
    assert_eq!(run("file-free", &["free"])["exit_code"], 0);
    assert_eq!(fs::metadata(free).unwrap().len(), 100_000);

    let descriptors = run("descriptors", &[]);
    assert_eq!((&descriptors["exit_code"], &descriptors["stdout"]), (&json!(2), &json!("")));
    assert_eq!(run("descriptors-free", &[])["stdout"], "open\n");

    assert_eq!(run("cpu", &[])["signal"], "SIGKILL");
    assert_eq!(run("cpu-free", &[])["stdout"], "300000\n");
    fs::remove_dir_all(folder).unwrap();
}
