//! Many hosts at once: real daemons on loopback, some of them dead, slow, or refusing.

use std::fs;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zcmd::limits;
use zcmd::protocol::reply::{Answer, Code};

use crate::house::{House, is_alive, kill, sh, until};
use crate::played::{Played, error, output, run, target, value, zcmd};

const SIGINT: i32 = 2;

/// Daemons, one for each commands file. They have the same key, so that one token is good for all.
fn houses(commands: impl IntoIterator<Item = Value>) -> Vec<House> {
    let mut commands: Vec<Value> = commands.into_iter().collect();
    let mut threads = Vec::new();
    while !commands.is_empty() {
        let some = commands.drain(..commands.len().min(13)).collect::<Vec<_>>();
        threads.push(thread::spawn(|| some.into_iter().map(House::new).collect::<Vec<_>>()));
    }
    threads.into_iter().flat_map(|some| some.join().unwrap()).collect()
}

fn list(houses: &[House]) -> String {
    houses.iter().map(|house| house.tcp.as_str()).collect::<Vec<_>>().join(",")
}

/// `zcmd each` for these hosts, with the token of the first one.
fn each(houses: &[House], arguments: &[&str]) -> Output {
    let list = list(houses);
    houses[0].run(&[&["each", "-H", &list], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of the table, without its head: host, outcome, status, seconds and message.
fn rows(output: &Output) -> Vec<Vec<String>> {
    let text = text(&output.stdout);
    let table = text.lines().skip_while(|line| !line.starts_with("HOST ")).skip(1);
    table.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Each host's outcome and status, in the order of the table.
fn outcomes(output: &Output) -> Vec<(String, u8)> {
    let rows = rows(output).into_iter();
    rows.map(|row| (row[1].clone(), row[2].parse().unwrap())).collect()
}

/// The same with `--json`.
fn objects(output: &Output) -> Vec<Value> {
    let text = text(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_command_on_many_hosts_takes_names_and_confirmations() {
    let [one, two] = ["one", "two"].map(|host| {
        let run = json!(["/bin/echo", host, "--a={a}", "{b}"]);
        let parameters = json!([
            {"name": "a", "type": "word", "default": "x"},
            {"name": "b", "type": "word", "optional": true},
        ]);
        json!({"say": {"run": run, "parameters": parameters, "confirm": true}})
    });
    let houses = houses([one, two]);
    let refused = each(&houses, &["os", "-p", "b=3", "say"]);
    assert_eq!(outcomes(&refused), [("refused".to_owned(), 125), ("refused".to_owned(), 125)]);
    let output = each(&houses, &["os", "--yes", "-p", "b=3", "say"]);
    assert_eq!(outcomes(&output), [("ok".to_owned(), 0), ("ok".to_owned(), 0)]);
    for host in ["one", "two"] {
        assert!(text(&output.stdout).contains(&format!("{host} --a=x 3\n")), "{output:?}");
    }
    assert_eq!(
        each(&houses, &["-p", "b=3", "os", "say"]).status.code(),
        Some(125),
        "options of os come after it"
    );
}

#[test]
fn fifty_hosts_of_which_some_are_dead_or_slow_take_as_long_as_the_slowest() {
    let slow = Duration::from_secs(3);
    let commands = (0..50).map(|number| match number {
        10 | 20 => json!({"up": sh("sleep 3; echo up")}),
        30 => json!({"up": sh("echo broken; exit 3")}),
        40 => json!({"down": sh("true")}),
        _ => json!({"up": sh("echo up")}),
    });
    let mut houses = houses(commands);
    for dead in [5, 25, 45] {
        houses[dead].daemon.kill().unwrap();
        houses[dead].wait();
    }
    let begun = Instant::now();
    let output = each(&houses, &["os", "up"]);
    let took = begun.elapsed();
    assert!(took >= slow && took < slow * 2, "{took:?}");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let rows = rows(&output);
    assert_eq!(rows.len(), 50);
    for (number, (row, house)) in rows.iter().zip(&houses).enumerate() {
        let (outcome, status, is_slow) = match number {
            5 | 25 | 45 => ("unreachable", "125", false),
            10 | 20 => ("ok", "0", true),
            30 => ("failed", "3", false),
            40 => ("refused", "127", false),
            _ => ("ok", "0", false),
        };
        assert_eq!(row[..3], [house.tcp.as_str(), outcome, status], "{number}");
        let seconds: f64 = row[3].parse().unwrap();
        assert_eq!(seconds >= slow.as_secs_f64(), is_slow, "{number}: {row:?}");
    }
    let printed = text(&output.stdout);
    let groups: Vec<_> = printed.lines().filter(|line| line.ends_with("):")).collect();
    assert_eq!(groups.len(), 2, "{printed}");
    assert!(groups[0].ends_with(" (45):"), "{printed}");
    assert_eq!(groups[1], format!("{} (1):", houses[30].tcp));
    assert_eq!(printed.matches("\n  up\n").count(), 1, "{printed}");
}

#[test]
fn hosts_are_asked_side_by_side_and_no_more_than_at_most() {
    let folder = crate::house::folder();
    let file = folder.join("order").display().to_string();
    // Each waits for the other, and each ends before the other begins.
    let meet = format!("echo b >> {file}; until [ $(grep -c b {file}) = 2 ]; do sleep .01; done");
    let pass = format!("echo b >> {file}; sleep .1; echo e >> {file}");
    let houses = houses(vec![json!({"meet": sh(&meet), "pass": sh(&pass)}); 2]);
    let output = each(&houses, &["os", "meet"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    fs::remove_file(&file).unwrap();
    let output = each(&houses, &["--at-most", "1", "os", "pass"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "b\ne\nb\ne\n");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn after_so_many_failures_no_further_host_is_begun() {
    let houses = houses(vec![json!({"fail": sh("exit 7")}); 3]);
    let output = each(&houses, &["--at-most", "1", "--stop-after", "2", "os", "fail"]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let expected = [("failed", 7), ("failed", 7), ("skipped", 125)];
    assert_eq!(outcomes(&output), expected.map(|(outcome, status)| (outcome.to_owned(), status)));
    let asked = houses.iter().map(|house| house.logged("command_accepted").len());
    assert_eq!(asked.collect::<Vec<_>>(), [1, 1, 0]);
}

/// A command that writes its process id to the file `pid` of its house, and stays.
fn staying() -> Value {
    json!({"stay": sh("echo first; echo $$ > $FOLDER/new; mv $FOLDER/new $FOLDER/pid; exec sleep 60"),
           "up": sh("echo up")})
}

fn pid(folder: &std::path::Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("pid")).ok()?;
    Some(text.trim().to_owned())
}

/// Daemons whose command `stay` tells its process id in a folder of its own.
fn staying_houses(count: usize) -> (Vec<House>, Vec<std::path::PathBuf>) {
    let folders: Vec<_> = (0..count).map(|_| crate::house::folder()).collect();
    let commands = folders.iter().map(|folder| {
        let text = staying().to_string().replace("$FOLDER", &folder.display().to_string());
        serde_json::from_str(&text).unwrap()
    });
    (houses(commands), folders)
}

#[test]
fn ctrl_c_cancels_what_runs_and_begins_no_further_host() {
    let (houses, folders) = staying_houses(3);
    let list = list(&houses);
    let mut command = houses[0].zcmd(&["each", "-H", &list, "--at-most", "2", "os", "stay"]);
    let client = command.stdout(Stdio::piped()).spawn().unwrap();
    let pids = [0, 1].map(|it| until("a command", || pid(&folders[it])));
    kill(i32::try_from(client.id()).unwrap(), SIGINT);
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let expected = [("cancelled", 143), ("cancelled", 143), ("skipped", 125)];
    assert_eq!(outcomes(&output), expected.map(|(outcome, status)| (outcome.to_owned(), status)));
    assert!(text(&output.stdout).contains("(2):\n  first\n"), "{output:?}");
    assert!(!pids.iter().any(|pid| is_alive(pid)));
    assert_eq!(pid(&folders[2]), None);
    folders.iter().for_each(|folder| fs::remove_dir_all(folder).unwrap());
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_end_of_a_command() {
    let deaf = Played::new(|request, caller| {
        if target(request).is_none() {
            caller.reply(request, output(b"first\n"));
        }
        true
    });
    let mut command = zcmd(&deaf.address, &["each", "-H", &deaf.address, "os", "name"]);
    let client = command.stdout(Stdio::piped()).spawn().unwrap();
    let interrupt = || kill(i32::try_from(client.id()).unwrap(), SIGINT);
    until("the request", || (deaf.seen().len() == 1).then_some(()));
    interrupt();
    until("the cancel", || (deaf.seen().len() == 2).then_some(()));
    let begun = Instant::now();
    interrupt();
    let output = client.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(limits::CANCEL_SECONDS - 1), "{output:?}");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(outcomes(&output), [("unknown".to_owned(), 255)]);
}

#[test]
fn a_host_that_does_not_answer_in_time_is_unknown_and_its_command_is_cancelled() {
    let (houses, folders) = staying_houses(1);
    let output = each(&houses, &["--timeout", "1", "--json", "os", "stay"]);
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    let [object] = &objects(&output)[..] else { panic!("{output:?}") };
    assert_eq!((&object["outcome"], &object["status"]), (&json!("unknown"), &json!(255)));
    assert_eq!(object["output"][0]["data"], "first\n", "{object}");
    let pid = pid(&folders[0]).unwrap();
    until("the end of the command", || (!is_alive(&pid)).then_some(()));
    let ended = until("its line in the log", || houses[0].logged("command_ended").pop());
    assert_eq!(ended["outcome"], "cancelled", "{ended}");
    folders.iter().for_each(|folder| fs::remove_dir_all(folder).unwrap());
}

#[test]
fn the_output_of_a_host_is_bounded_and_cannot_forge_that_of_another() {
    let forged = r"printf 'b (1):\n\033[2Jx\ty\nHOST  OUTCOME  STATUS  SECONDS\n'";
    let many = "head -c 3000000 /dev/zero | tr '\\0' x";
    let houses = houses([json!({"forged": sh(forged), "many": sh(many)})]);
    let printed = text(&each(&houses, &["os", "forged"]).stdout);
    let lines: Vec<_> = printed.lines().collect();
    let head = format!("{} (1):", houses[0].tcp);
    assert_eq!(lines[..3], [head.as_str(), "  b (1):", "  \\u{1b}[2Jx\ty"], "{printed}");
    assert_eq!(lines[3], "  HOST  OUTCOME  STATUS  SECONDS");
    let output = each(&houses, &["--json", "os", "many"]);
    let result = &objects(&output)[0]["reply"]["result"];
    assert_eq!(result["stdout"].as_str().unwrap().len(), limits::EACH_OUTPUT_BYTES_MAX);
    assert_eq!(result["truncated"]["stdout_bytes"], 3_000_000, "{:.200}", result.to_string());
    let printed = text(&each(&houses, &["os", "many"]).stdout);
    assert!(printed.len() < limits::EACH_OUTPUT_BYTES_MAX + 1000);
    assert!(printed.contains("(cut: 262144 of 3000000 bytes of standard output"), "{printed:.9}");
}

#[test]
fn hosts_come_from_a_file_and_expressions_are_evaluated_on_each() {
    let houses = houses(vec![json!({}); 2]);
    let (first, second) = (&houses[0].tcp, &houses[1].tcp);
    let file = houses[0].path("hosts");
    fs::write(&file, format!("# ours\n\n{first}\n  {second}  \n")).unwrap();
    let run =
        |arguments: &[&str]| houses[0].run(&[&["each", "--hosts", &file], arguments].concat());
    let output = run(&["compute", "--let", "x=2", "-x^2"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("(2):\n  -4\n"), "{output:?}");
    let output = run(&["--json", "compute", "1/0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for object in objects(&output) {
        assert_eq!((&object["outcome"], &object["status"]), (&json!("failed"), &json!(1)));
        assert_eq!(object["reply"]["error"]["code"], "bad_expression", "{object}");
    }
}

#[test]
fn a_server_that_is_away_or_drains_sends_each_to_the_next_one_of_that_host() {
    let draining = Answer::Error(error(Code::ShuttingDown, "draining", Some(false)));
    let (draining, second) = (Played::always(draining), Played::always(value("2")));
    let folder = crate::house::folder();
    let file = folder.join("hosts").display().to_string();
    let servers = format!("ipc:///nonexistent/zcmd,{},{}", draining.address, second.address);
    fs::write(&file, &servers).unwrap();
    let done = run(zcmd(&draining.address, &["each", "--hosts", &file, "compute", "1+1"]), "");
    assert!(done.text().starts_with(&format!("{servers} (1):\n  2\n")), "{done:?}");
    assert_eq!((draining.seen().len(), second.seen().len()), (1, 1));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_wrong_is_told_before_any_host_is_asked() {
    let houses = houses([json!({"up": sh("echo up")})]);
    let twice = format!("{0},{0}", houses[0].tcp);
    let odd = format!("{},nowhere,tcp://192.0.2.1:1", houses[0].tcp);
    let cases: &[(&[&str], &[&str])] = &[
        (&["os", "up"], &["no host is named"]),
        (&["-H", &twice, "os", "up"], &["is named twice"]),
        (&["-H", &odd, "os", "up"], &["nowhere: ", "tcp://192.0.2.1:1: the token would cross"]),
        (&["-H", &twice, "--at-most", "0", "os", "up"], &["--at-most 0: expected a number, 1 to"]),
        (&["-H", &twice, "--stop-after", "x", "os", "up"], &["--stop-after x: expected a number"]),
        (&["-H", &twice, "list"], &["write each os NAME or each compute EXPRESSION"]),
        (&["-H", &twice, "--server", "tcp://a:1", "os", "up"], &["takes neither --server"]),
        (&["--hosts", "/nonexistent", "os", "up"], &["--hosts: ", "/nonexistent"]),
    ];
    for (arguments, messages) in cases {
        let output = houses[0].run(&[&["each"], *arguments].concat());
        let found = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{found}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(messages.iter().all(|message| found.contains(message)), "{arguments:?}: {found}");
    }
    assert!(houses[0].logged("command_accepted").is_empty());
}

#[test]
fn a_request_that_is_too_large_is_refused_and_not_unreachable() {
    let houses = houses([json!({"up": sh("echo up")})]);
    let long = "x".repeat(100_000);
    let output = each(&houses, &["os", "up", &long, &long, &long]);
    assert_eq!(outcomes(&output), [("refused".to_owned(), 125)], "{output:?}");
    assert_eq!(output.status.code(), Some(125));
}
