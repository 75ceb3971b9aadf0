//! The daemon's command line, its settings and the files that they name.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::house::{self, House, code, folder, write_secret, zcmdd};

#[test]
fn old_wound_wrong_settings_are_told_at_once_and_a_default_secret_signs_nothing() {
    let output = zcmdd(&[
        ("JWT_SECRET_KEY", "your-secret-key"),
        ("RATE_BURST", "many"),
        ("SERVER_ADDRESS", "ws://x"),
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    for secret in ["your-secret-key", "secret", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        for arguments in [&["token", "--sub", "a"][..], &["--check"], &[]] {
            let output = zcmdd(&[("JWT_SECRET_KEY", secret)]).args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(78), "{secret:?} {arguments:?}");
            assert!(output.stdout.is_empty());
            assert!(String::from_utf8(output.stderr).unwrap().contains("zcmdd keygen"));
        }
    }
    let place = folder();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    fs::set_permissions(place.join("key"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    let key = place.join("key").display().to_string();
    let output = zcmdd(&[("JWT_SECRET_KEY_FILE", &key)]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("chmod 600"));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_wrong_command_line_is_64_with_one_line_and_a_hint() {
    for arguments in
        [&["--nonsense"][..], &["token"], &["--check", "x"], &["--explain", "x"], &["x"]]
    {
        let output = zcmdd(&[]).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(64), 1), "{text}");
        assert!(text.contains("--help"), "{text}");
    }
}

#[test]
fn check_shows_and_explain_tells_what_would_run() {
    let house = House::new(json!({
        "say": {"run": ["/bin/echo", "{a}"], "user": "root",
                "parameters": [{"name": "a", "type": "word"}]}
    }));
    let (key, commands) = (house.path("key"), house.path("commands.json"));
    let zcmdd = || zcmdd(&[("JWT_SECRET_KEY_FILE", &key), ("COMMANDS_FILE", &commands)]);
    let check = zcmdd().arg("--check").output().unwrap();
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && text.contains("MAX_QUEUED_COMMANDS=64\n"), "{text}");
    assert!(!text.contains("0123456789"), "{text}");
    let explain = |arguments: &[&str]| {
        let output = zcmdd().arg("--explain").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, text) = explain(&["os:say", "say", "x"]);
    assert_eq!(status, Some(0));
    let permit: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(permit["argv"], json!(["/bin/echo", "x"]));
    assert_eq!((&permit["rule"], &permit["user"]), (&json!("os:say"), &json!("root")));
    let wire = |parameter: &str| {
        house.ask(json!({"command_type": "os", "command_name": "say", "parameters": [parameter],
                         "explain": true}))
    };
    assert_eq!(wire("x")["result"]["argv"], permit["argv"]);
    assert_eq!(wire("x")["result"]["rule"], "os:*");
    assert_eq!(code(&wire("-x")), "bad_parameter");
    assert_eq!(house.logged("command_accepted").len(), 0, "nothing was run");
    let cases = [
        (&["compute", "say", "x"][..], "forbidden: "),
        (&["os:*", "say", "-x"], "bad_parameter: parameter a"),
        (&["os:*", "nay"], "unknown_command: "),
    ];
    for (arguments, wanted) in cases {
        let (status, text) = explain(arguments);
        assert_eq!(status, Some(1), "{arguments:?}");
        assert!(text.starts_with(wanted), "{text}");
    }
}

#[test]
fn a_program_that_others_can_change_is_refused_at_start() {
    let place = folder();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz");
    let program = place.join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::write(place.join("commands"), json!({"p": {"run": [program]}}).to_string()).unwrap();
    let path = |name: &str| place.join(name).display().to_string();
    for (mode, status) in [(0o755, 0), (0o700, 0), (0o757, 78), (0o777, 78)] {
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let (key, commands) = (path("key"), path("commands"));
        let variables = [("JWT_SECRET_KEY_FILE", &*key), ("COMMANDS_FILE", &*commands)];
        let output = zcmdd(&variables).arg("--check").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{mode:o}: {text}");
        assert!(status == 0 || text.contains("p.run[0]: "), "{text}");
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn old_wound_files_in_a_directory_of_everybodys_were_trusted() {
    let place = folder();
    let names = ["key", "commands", "revoked", "clients", "server", "program"];
    let path = |name: &str| place.join(name).join("file").display().to_string();
    for name in names {
        fs::create_dir_all(place.join(name)).unwrap();
    }
    write_secret(&path("key").into(), "0123456789abcdefghijklmnopqrstuvwxyz");
    house::make_keys(&path("server"));
    fs::write(path("program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(path("program"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path("commands"), json!({"p": {"run": [path("program")]}}).to_string()).unwrap();
    fs::write(path("revoked"), "").unwrap();
    fs::write(path("clients"), "").unwrap();
    let values = names.map(path);
    let [key, commands, revoked, clients, server, _] = values.each_ref().map(String::as_str);
    let check = || {
        let variables = [
            ("JWT_SECRET_KEY_FILE", key),
            ("COMMANDS_FILE", commands),
            ("REVOKED_TOKENS_FILE", revoked),
            ("CURVE_CLIENTS_FILE", clients),
            ("CURVE_SECRET_KEY_FILE", server),
        ];
        let output = zcmdd(&variables).arg("--check").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check().0, Some(0), "{:?}", check());
    for name in names {
        let open = |mode| {
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        open(0o777);
        let (status, text) = check();
        assert!(status == Some(78) && text.contains("chmod go-w"), "{name}: {status:?} {text}");
        open(0o755);
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn old_wound_a_key_or_a_token_that_could_not_be_written_was_a_success() {
    let key = "0123456789abcdefghijklmnopqrstuvwxyz";
    for arguments in [&["keygen"][..], &["token", "--sub", "a"], &["--check"], &["--help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut zcmdd = zcmdd(&[("JWT_SECRET_KEY", key)]);
        let output = zcmdd.args(arguments).stdout(full).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{arguments:?} {text}");
        assert!(text.contains("zcmdd: cannot write to standard output: No space"), "{text}");
    }
}

#[test]
fn old_wound_a_key_or_a_token_for_a_closed_standard_output_was_a_success() {
    let secret = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (output, status) in [(">&-", 74), (">/dev/null", 0)] {
        for arguments in ["keygen", "token --sub a"] {
            let script = format!("exec {} {arguments} {output}", env!("CARGO_BIN_EXE_zcmdd"));
            let mut shell = std::process::Command::new("/bin/sh");
            let shell = shell.args(["-c", &script]).env("JWT_SECRET_KEY", secret);
            let output = shell.output().unwrap();
            assert_eq!(output.status.code(), Some(status), "{script} {output:?}");
        }
    }
}
