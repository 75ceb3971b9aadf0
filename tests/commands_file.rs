//! What the daemon makes of commands files, as its owner sees it.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use house::{House, folder, sh, until, write_secret, zcmdd};
use serde_json::json;

const SIGHUP: i32 = 1;

/// What `zcmdd --check` says of commands files: nothing when they are good.
fn check(place: &Path, commands: &str) -> String {
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    let path = |name: &str| place.join(name).display().to_string();
    let variables = [("JWT_SECRET_KEY_FILE", path("key")), ("COMMANDS_FILE", path(commands))];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let output = zcmdd(&variables).arg("--check").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => String::new(),
        Some(78) => text.replace(&format!("{}/", place.display()), ""),
        status => panic!("{status:?}: {text}"),
    }
}

#[test]
fn old_wound_an_unknown_user_group_or_directory_was_accepted() {
    let place = folder();
    let commands = r#"{
  "a": { "run": ["/bin/true"], "user": "no-such-user" },
  "b": { "run": ["/bin/true"], "group": "no-such-group", "cwd": "/nonexistent" },
  "c": { "run": ["/bin/true", "{f}"], "user": "no-such-user", "cwd": "/etc/passwd",
         "parameters": [ { "name": "f", "type": "path", "under": "/nonexistent" } ] },
  "good": { "run": ["/bin/true", "{f}"], "user": "0", "group": "root", "cwd": "/usr/",
            "parameters": [ { "name": "f", "type": "path", "under": "/" } ] }
}"#;
    fs::write(place.join("commands.json"), commands).unwrap();
    let told = "\
zcmdd: commands.json:2:8: a.user: there is no user no-such-user in /etc/passwd; make it, or name another
zcmdd: commands.json:3:8: b.group: there is no group no-such-group in /etc/group; make it, or name another
zcmdd: commands.json:3:8: b.cwd: there is no directory /nonexistent; make it, or name another
zcmdd: commands.json:4:8: c.user: there is no user no-such-user in /etc/passwd; make it, or name another
zcmdd: commands.json:4:8: c.cwd: /etc/passwd is not a directory; name another
zcmdd: commands.json:4:8: c.parameters[0].under: there is no directory /nonexistent; make it, or name another
";
    assert_eq!(check(&place, "commands.json"), told);

    // A reload looks as a start does.
    let house = House::new(json!({"one": sh("echo 1")}));
    fs::write(house.path("commands.json"), commands).unwrap();
    house.signal(SIGHUP);
    until("the refusal", || (!house.logged("reload_refused").is_empty()).then_some(()));
    let faults = house.logged("reload_refused")[0]["faults"].to_string();
    assert_eq!(faults.matches("no-such-user").count(), 2, "{faults}");
    assert_eq!(house.os("one", &[])["result"]["stdout"], "1\n");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn the_files_of_a_directory_are_one_commands_file() {
    let place = folder();
    let directory = place.join("commands.d");
    fs::create_dir(&directory).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    let mode = |mode| fs::set_permissions(&directory, PermissionsExt::from_mode(mode)).unwrap();
    assert_eq!(check(&place, "commands.d"), "", "an empty directory has no commands");
    write("20-b.json", "// Two of them.\n{\"two\": {\"run\": [\"/bin/true\"]}}");
    write("10-a.json", r#"{"one": {"run": ["/bin/true"]}}"#);
    for ignored in [".hidden.json", "20-b.json~", "README"] {
        write(ignored, "not JSON");
    }
    assert_eq!(check(&place, "commands.d"), "");
    let commands = directory.display().to_string();
    let house = House::with(json!({}), &[("COMMANDS_FILE", &commands)]);
    assert_eq!(house.logged("started")[0]["commands"], 2);
    for name in ["one", "two"] {
        assert_eq!(house.os(name, &[])["result"]["exit_code"], 0, "{name}");
    }

    write("30-c.json", "{\n\"one\": {\"run\": [\"/bin/true\"]}, \"x\": {}}");
    let told = "\
zcmdd: commands.d/30-c.json:2:8: one: is in commands.d/10-a.json:1:9 already; keep one
zcmdd: commands.d/30-c.json:2:37: x: run is missing; it names the program and its arguments
";
    assert_eq!(check(&place, "commands.d"), told);
    fs::remove_file(directory.join("30-c.json")).unwrap();

    let large = format!("{{}}{}", " ".repeat(700_000));
    write("40-d.json", &large);
    assert_eq!(check(&place, "commands.d"), "");
    write("50-e.json", &large);
    let told = check(&place, "commands.d");
    assert!(told.contains("all files have at most 1048576 bytes together"), "{told}");
    fs::remove_file(directory.join("50-e.json")).unwrap();

    for (closed, trusted) in [(0o755, true), (0o777, false), (0o1777, false)] {
        mode(closed);
        assert_eq!(check(&place, "commands.d").is_empty(), trusted, "{closed:o}");
    }
    mode(0o755);
    let one = directory.join("10-a.json");
    fs::set_permissions(one, PermissionsExt::from_mode(0o666)).unwrap();
    let told = check(&place, "commands.d");
    assert!(told.contains("10-a.json can be changed by others"), "{told}");

    for number in 0..257 {
        write(&format!("{number}.json"), "{}");
    }
    assert!(check(&place, "commands.d").contains("more than 256 entries"));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn old_wound_wrong_settings_hid_a_weak_key_and_wrong_files() {
    let place = folder();
    fs::write(place.join("commands.json"), "{\"a\": 1, \"b\": 2}").unwrap();
    let commands = place.join("commands.json").display().to_string();
    let variables = [
        ("RATE_BURST", "many"),
        ("JWT_SECRET_KEY", "weak"),
        ("REVOKED_TOKENS_FILE", "/nonexistent"),
        ("CURVE_SECRET_KEY_FILE", "/nonexistent/curve"),
        ("COMMANDS_FILE", &commands),
    ];
    for arguments in [&["--check"][..], &[]] {
        let output = zcmdd(&variables).args(arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        for wanted in
            ["RATE_BURST=many", "JWT_SECRET_KEY: ", "REVOKED_TOKENS_FILE: ", ": a: ", ": b: "]
        {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
        assert!(told.contains("CURVE_SECRET_KEY_FILE: cannot open"), "{told}");
        assert_eq!((output.status.code(), told.lines().count()), (Some(78), 7), "{told}");
    }
    let output = zcmdd(&[("LOG_KEEP", "x")]).arg("--check").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 2, "no key is told once: {told}");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn parameters_have_names_and_a_command_has_a_page() {
    let house = House::new(json!({
        "tail": {
            "about": "The end of a log",
            "run": ["/usr/bin/printf", "<%s>", "-n", "{lines}", "{flag}", "{file}"],
            "parameters": [
                {"name": "file", "type": "word"},
                {"name": "lines", "type": "integer", "min": 1, "max": 100, "default": "3"},
                {"name": "flag", "type": "word", "optional": true},
            ],
        },
        "plain": sh(":"),
    }));
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (&["os", "tail", "log"], 0, "<-n><3><log>", ""),
        (&["os", "-p", "lines=5", "tail", "log"], 0, "<-n><5><log>", ""),
        (&["os", "-p", "flag=x", "-p", "file=log", "tail", "7"], 0, "<-n><7><x><log>", ""),
        (
            &["os", "tail", "lines=5"],
            125,
            "",
            "zcmd: [bad_parameter] parameter file: must be 1 to 64 letters",
        ),
        (
            &["os", "-p", "lnies=5", "tail", "log"],
            125,
            "",
            "there is no parameter \"lnies\": did you mean lines?; known here: file, lines, flag",
        ),
        (&["os", "tail", "--help"], 125, "", "; zcmd help tail shows what it takes\n"),
        (&["os", "plain", "--help"], 125, "", "takes no parameters; leave them out; zcmd help"),
        (&["help", "tial"], 127, "", "this token reaches no command \"tial\"; zcmd list shows all"),
        (&["--json", "list", "plain"], 0, "{\"name\":\"plain\",\"parameters\":[]}\n", ""),
    ];
    for (arguments, status, stdout, stderr) in cases {
        let output = house.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), *stdout, "{arguments:?}: {told}");
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {told}");
        assert!(told.contains(stderr) && told.lines().count() < 2, "{told}");
    }
    let page = "\
zcmd os [OPTION]... tail FILE [LINES] [FLAG]
    The end of a log
    file   word, at most 64 bytes
    lines  integer, 1 to 100; 3 unless given
    flag   word, at most 64 bytes; may be left out

  zcmd os tail eth0
  zcmd os -p lines=3 tail eth0
";
    for subcommand in ["help", "list"] {
        let output = house.run(&[subcommand, "tail"]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), page);
    }
    let own = house.run(&["help", "os"]);
    assert_eq!(own.stdout, house.run(&["os", "--help"]).stdout);
    assert_eq!(house.run(&["help"]).stdout, house.run(&["--help"]).stdout);
    // For authors of clients: an object, with or without values in order.
    let ask = |parameters| {
        house.ask(json!({"command_type": "os", "command_name": "tail", "parameters": parameters}))
    };
    let reply = ask(json!({"": ["log"], "flag": "x", "lines": ["9"]}));
    assert_eq!(reply["result"]["stdout"], "<-n><9><x><log>", "{reply}");
    assert_eq!(house::code(&ask(json!({"file": "log", "x": "y"}))), "bad_parameter");
}

/// Commands that hold a lock until there is a file.
#[test]
fn commands_with_one_lock_run_one_at_a_time() {
    let place = folder();
    let go = place.join("go").display().to_string();
    let hold = |lock: &str| {
        let wait = "while [ ! -e \"$0\" ]; do sleep 0.02; done; :";
        json!({"run": ["/bin/sh", "-c", wait, go], "lock": lock})
    };
    let house = House::new(json!({"a": hold("disk"), "b": hold("disk"), "c": hold("net")}));
    let socket = house.dealer();
    for (id, name) in ["a", "b", "a", "c"].into_iter().enumerate() {
        house.send(&socket, json!({"command_type": "os", "command_name": name, "id": id}));
    }
    let status = || house.ask(json!({"command_type": "status"}))["result"]["commands"].clone();
    until("two that run", || (status()["running"] == 2).then_some(()));
    assert_eq!(status()["waiting"], 2, "{}", status());
    fs::write(&go, "").unwrap();
    for _ in 0..4 {
        let reply = house::receive(&socket);
        assert_eq!(reply["result"]["exit_code"], 0, "{reply}");
    }
    let started = |event: &str| house.logged(event).len();
    assert_eq!((started("command_accepted"), started("command_ended")), (4, 4));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn the_owner_says_which_exit_codes_are_success() {
    let with = |code: &str| json!({"run": ["/bin/sh", "-c", code], "success": [0, 3]});
    let house = House::new(json!({
        "three": with("exit 3"), "four": with("exit 4"), "killed": with("kill -9 $$"),
        "never": {"run": ["/bin/true"], "success": [3]}, "plain": sh("exit 3"),
    }));
    let cases = [
        ("three", json!(true), 0),
        ("four", json!(false), 4),
        ("killed", json!(false), 137),
        ("never", json!(false), 1),
        ("plain", json!(null), 3),
    ];
    for (name, success, status) in cases {
        assert_eq!(house.os(name, &[])["result"]["success"], success, "{name}");
        assert_eq!(house.run(&["os", name]).status.code(), Some(status), "{name}");
        let logged = match success.as_bool() {
            Some(success) => json!(if success { "yes" } else { "no" }),
            None => json!(null),
        };
        assert_eq!(house.logged("command_ended").pop().unwrap()["success"], logged, "{name}");
    }
}

#[test]
fn a_command_that_asks_for_a_confirmation_does_not_run_without_one() {
    let house = House::new(json!({
        "halt": {"run": ["/bin/echo", "halted"], "confirm": true},
    }));
    let refused = house.os("halt", &[]);
    assert_eq!(house::code(&refused), "unconfirmed", "{refused}");
    assert_eq!(refused["error"]["executed"], false);
    let output = house.run(&["os", "halt"]);
    assert_eq!(output.status.code(), Some(125));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("asks for a confirmation") && told.contains("--yes"), "{told}");
    assert_eq!(house.run(&["os", "--yes", "halt"]).stdout, b"halted\n");
    let explained =
        house.ask(json!({"command_type": "os", "command_name": "halt", "explain": true}));
    assert_eq!(explained["result"]["confirm"], true);
    let listed = house.ask(json!({"command_type": "list"}));
    assert_eq!(listed["result"]["commands"][0]["confirm"], true);
    assert_eq!(house.logged("command_accepted").len(), 1);

    // A person at a terminal is asked.
    if !std::path::Path::new("/usr/bin/script").exists() {
        return house::skip("/usr/bin/script is not there; util-linux has it");
    }
    for (answer, status, ran) in [("y\n", 0, true), ("\n", 125, false), ("no\n", 125, false)] {
        let client = house.zcmd(&["os", "halt"]);
        let line = format!("{} os halt", client.get_program().display());
        let mut script = std::process::Command::new("/usr/bin/script");
        script.args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"]);
        for (name, value) in client.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut script = script.spawn().unwrap();
        use std::io::Write;
        let mut input = script.stdin.take().unwrap();
        input.write_all(answer.as_bytes()).unwrap();
        let output = script.wait_with_output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("zcmd: run halt? [y/N] "), "{told}");
        assert_eq!(told.contains("halted"), ran, "{told}");
        assert_eq!(told.contains("not confirmed; nothing ran"), !ran, "{told}");
        assert_eq!(output.status.code(), Some(status), "{told}");
    }
}

#[test]
fn a_choice_of_a_directory_is_looked_for_when_it_is_asked() {
    let place = folder();
    for name in ["a.img", "b c", "-x", ".hidden", "sub"] {
        fs::write(place.join(name), "").unwrap();
    }
    std::os::unix::fs::symlink("/nonexistent", place.join("link")).unwrap();
    let house = House::new(json!({
        "show": {"run": ["/usr/bin/printf", "<%s>", "{image}"],
                 "parameters": [{"name": "image", "type": "choice", "of_directory": place,
                                 "repeat": 2}]},
    }));
    for values in [&["a.img"][..], &["b c", "link"]] {
        let reply = house.os("show", values);
        let wanted: String = values.iter().map(|value| format!("<{value}>")).collect();
        assert_eq!(reply["result"]["stdout"], wanted, "{reply}");
    }
    let long = "x".repeat(256);
    let bad = ["-x", ".hidden", "..", ".", "", "new", "sub/..", "../a.img", "a.img/", &long];
    for value in bad {
        let reply = house.os("show", &["a.img", value]);
        assert_eq!(house::code(&reply), "bad_parameter", "{value}: {reply}");
        assert_eq!(reply["error"]["executed"], false);
        let told = reply["error"]["message"].as_str().unwrap();
        assert!(told.contains("parameter image: must be the name of something in /"), "{told}");
    }
    // It is read when it is asked for, and not before.
    fs::write(place.join("new"), "").unwrap();
    assert_eq!(house.os("show", &["new"])["result"]["stdout"], "<new>");
    fs::remove_dir_all(&place).unwrap();
    assert_eq!(house::code(&house.os("show", &["new"])), "bad_parameter");
    let listed = house.ask(json!({"command_type": "list"}));
    assert_eq!(listed["result"]["commands"][0]["parameters"][0]["of_directory"], json!(place));
    let page = String::from_utf8(house.run(&["help", "show"]).stdout).unwrap();
    assert!(page.contains(&format!("image  choice, a name in {}", place.display())), "{page}");
}

#[test]
fn old_wound_a_reload_did_not_say_what_changed() {
    let house = House::new(json!({"stay": sh("1"), "go": sh("2"), "turn": sh("3")}));
    let write = |commands: serde_json::Value| {
        fs::write(house.path("commands.json"), format!("// Moved.\n{commands}")).unwrap();
        let before = house.logged("reloaded").len();
        house.signal(SIGHUP);
        until("the reload", || house.logged("reloaded").into_iter().nth(before))
    };
    let told = write(json!({"stay": sh("1"), "come": sh("2"), "turn": sh("4")}));
    assert_eq!(told["commands_added"], json!(["come"]), "{told}");
    assert_eq!(told["commands_removed"], json!(["go"]));
    assert_eq!(told["commands_changed"], json!(["turn"]));
    let told = write(json!({"stay": sh("1"), "come": sh("2"), "turn": sh("4")}));
    assert!(!told.to_string().contains("commands_") && told["changed"].is_null(), "{told}");
}

#[test]
fn old_wound_the_log_spelled_endpoints_as_ipv6_and_warned_of_slips_in_maths() {
    let house = House::new(json!({}));
    let started = house.logged("started")[0].clone();
    let endpoint = started["endpoints"][0].as_str().unwrap();
    assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{started}");
    house.ask(json!({"command_type": "compute", "expression": "1/"}));
    house.ask(json!({"command_type": "os", "command_name": "none"}));
    let levels: Vec<_> = house.logged("refused").iter().map(|line| line["level"].clone()).collect();
    assert_eq!(levels, ["info", "warn"]);
}
