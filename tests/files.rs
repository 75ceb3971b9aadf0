//! Facts and files of a host, through the client, the daemon and `zcmd-tool`, by the commands that
//! are shipped.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use house::{House, code, folder, skip, until, zcmdd};
use serde_json::{Map, Value, json};

const MIB: usize = 1024 * 1024;

/// The files of commands that are shipped, in order.
fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/commands.d");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// A daemon with all shipped commands, for the files below `FOLDER/files`.
struct Host {
    house: House,
    files: PathBuf,
    /// Where the client runs.
    here: PathBuf,
}

impl Host {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(variables: &[(&str, &str)]) -> Self {
        let tool = Path::new(env!("CARGO_BIN_EXE_zcmd")).with_file_name("zcmd-tool");
        assert!(tool.exists(), "build all of the workspace: there is no {}", tool.display());
        let (files, here) = (folder(), folder());
        let mut commands = Map::new();
        for file in shipped() {
            let text = fs::read_to_string(file).unwrap();
            let text = text.replace("/usr/local/bin/zcmd-tool", tool.to_str().unwrap());
            let text = text.replace("/srv/zcmd", files.to_str().unwrap());
            commands.extend(serde_json::from_str::<Map<_, _>>(&text).unwrap());
        }
        let house = House::with(Value::Object(commands), variables);
        Self { house, files, here }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.house.zcmd(arguments);
        command.current_dir(&self.here);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the client, which says nothing and succeeds.
    #[track_caller]
    fn quiet(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?} {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?} {output:?}");
    }

    /// Runs the client, which says one line and ends with this status.
    #[track_caller]
    fn refused(&self, arguments: &[&str], status: i32, message: &str) {
        let output = self.run(arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?} {err}");
        assert!(err.contains(message) && err.lines().count() == 1, "{arguments:?} {err}");
    }

    /// Values of this option of the tool in the commands that ran, in order.
    fn logged(&self, option: &str) -> Vec<String> {
        let lines = self.house.logged("command_accepted");
        let option = format!("{option}=");
        let values = lines.iter().flat_map(|line| line["argv"].as_array().unwrap());
        values.filter_map(|word| Some(word.as_str()?.strip_prefix(&option)?.to_owned())).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for folder in [&self.files, &self.here] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Bytes without a pattern that a copy could repeat unnoticed.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(|_| next()).take(size).collect()
}

#[test]
fn each_shipped_file_of_commands_is_one_that_the_daemon_takes() {
    let folder = folder();
    assert!(shipped().len() >= 3);
    // Not the files themselves: a checkout may be open to a group.
    let directory = folder.join("commands.d");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let mut sources = vec![directory.clone()];
    for file in shipped() {
        let copy = directory.join(file.file_name().unwrap());
        fs::copy(&file, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
        sources.push(copy);
    }
    for source in sources {
        let key = "0123456789abcdefghijklmnopqrstuvwxyz";
        let variables = [("JWT_SECRET_KEY", key), ("COMMANDS_FILE", source.to_str().unwrap())];
        let output = zcmdd(&variables).arg("--check").output().unwrap();
        assert!(output.status.success(), "{} {output:?}", source.display());
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_byte_goes_there_and_comes_back() {
    let host = Host::new();
    let texts: [(&str, Vec<u8>); 6] = [
        ("bytes", (0..=255).collect()),
        ("empty", vec![]),
        ("zeros", vec![0; MIB + 1]),
        ("piece", vec![b'x'; MIB]),
        ("text", "é\u{1}\n\"".repeat(70_000).into_bytes()),
        ("noise", noise(300_000)),
    ];
    for (name, bytes) in &texts {
        fs::write(host.here.join("local"), bytes).unwrap();
        host.quiet(&["put", "local", name]);
        assert!(fs::read(host.files.join(name)).unwrap() == *bytes, "{name}");
        host.quiet(&["get", name]);
        assert!(fs::read(host.here.join(name)).unwrap() == *bytes, "{name}");
        assert!(!host.here.join(format!("{name}.part")).exists());
    }
    assert_eq!(fs::metadata(host.files.join("bytes")).unwrap().mode() & 0o777, 0o640);
    // Into a directory, under another name, over what is there; the old one is kept.
    fs::create_dir(host.here.join("directory")).unwrap();
    host.quiet(&["get", "bytes", "directory"]);
    host.quiet(&["get", "text", "directory/bytes"]);
    assert!(fs::read(host.here.join("directory/bytes")).unwrap() == texts[4].1);
    host.quiet(&["put", "directory/bytes", "bytes"]);
    assert!(fs::read(host.files.join("bytes.bak")).unwrap() == texts[0].1);
    assert_eq!(fs::read_dir(&host.files).unwrap().count(), texts.len() + 1, "nothing is left");
}

/// Runs a client to its end; gives the most memory that it had, in KiB.
fn run_watched(mut command: Command) -> u64 {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let status = until("the end of the copy", || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.map_or(most, |line| line.trim_end_matches(" kB").trim().parse().unwrap());
        child.try_wait().unwrap()
    });
    assert!(status.success(), "{:?}", child.wait_with_output());
    most
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let host = Host::new();
    let bytes = noise(64 * MIB);
    fs::write(host.files.join("small"), &bytes[..2 * MIB]).unwrap();
    fs::write(host.files.join("large"), &bytes).unwrap();
    let small = run_watched(host.command(&["get", "small"]));
    let before = host.house.proc_status("VmHWM");
    let large = run_watched(host.command(&["get", "large"]));
    assert!(fs::read(host.here.join("large")).unwrap() == bytes);
    assert!(large < small + 8 * 1024, "the client: {small} KiB, then {large} KiB");
    let after = host.house.proc_status("VmHWM");
    assert!(after < before + 8 * 1024, "the daemon: {before} KiB, then {after} KiB");

    fs::write(host.here.join("half"), &bytes[..16 * MIB]).unwrap();
    let put = run_watched(host.command(&["put", "half", "half"]));
    assert!(put < small + 8 * 1024, "the client: {put} KiB");
    assert!(fs::read(host.files.join("half")).unwrap() == bytes[..16 * MIB]);
    let after = host.house.proc_status("VmHWM");
    assert!(after < before + 8 * 1024, "the daemon: {before} KiB, then {after} KiB");
}

#[test]
fn get_goes_on_with_what_is_here_if_it_is_the_same() {
    let host = Host::new();
    let bytes = noise(3 * MIB);
    fs::write(host.files.join("file"), &bytes).unwrap();
    let part = host.here.join("file.part");
    let mut wrong = bytes[..2 * MIB].to_vec();
    wrong[MIB] ^= 1;
    let longer = [bytes.as_slice(), b"x"].concat();
    let cases = [(&bytes[..2 * MIB], 2 * MIB), (&wrong, 0), (&longer, 0), (&bytes, 3 * MIB)];
    for (there, first) in cases {
        let before = host.logged("--offset").len();
        fs::write(&part, there).unwrap();
        host.quiet(&["get", "file"]);
        assert!(fs::read(host.here.join("file")).unwrap() == bytes);
        let offsets = host.logged("--offset").split_off(before);
        assert_eq!(offsets[..2], ["0".to_owned(), first.to_string()], "{offsets:?}");
    }
    // What is no file of ours is not written to.
    symlink("/tmp/elsewhere", &part).unwrap();
    host.refused(&["get", "file"], 125, "file.part: ");
    fs::remove_file(&part).unwrap();
    fs::write(&part, "").unwrap();
    let lock = fs::File::open(&part).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    host.refused(&["get", "file"], 125, "another zcmd get is writing it");
}

#[test]
fn a_copy_that_was_killed_goes_on_where_it_ended() {
    let host = Host::new();
    let bytes = noise(12 * MIB);
    fs::write(host.files.join("there"), &bytes).unwrap();
    fs::write(host.here.join("here"), &bytes).unwrap();
    for (arguments, result) in [
        (["get", "there", "copy"], host.here.join("copy")),
        (["put", "here", "copy"], host.files.join("copy")),
    ] {
        let before = host.logged("--offset").len();
        let mut child = host.command(&arguments).spawn().unwrap();
        until("some pieces", || (host.logged("--offset").len() > before + 3).then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!result.exists(), "not before it is whole");
        let killed = host.logged("--offset").len();
        host.quiet(&arguments);
        assert!(fs::read(&result).unwrap() == bytes);
        // The last request of the killed one may have come after that.
        let offsets = host.logged("--offset").into_iter().skip(killed);
        let offsets: Vec<String> = offsets.skip_while(|offset| offset != "0").collect();
        assert!(offsets[1].parse::<usize>().unwrap() >= 2 * 128 * 1024, "{offsets:?}");
    }
    assert_eq!(fs::read_dir(&host.files).unwrap().count(), 2, "no piece is left");
}

#[test]
fn nothing_outside_of_the_directory_is_reached_through_the_daemon() {
    let host = Host::new();
    let secret = host.here.join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, host.files.join("link")).unwrap();
    fs::hard_link(&secret, host.files.join("hard")).unwrap();
    fs::write(host.here.join("new"), "new").unwrap();
    let long = "a".repeat(4096);
    for path in ["../secret", "/etc/passwd", "link", "hard", ".", "a/../../b", &long] {
        for arguments in [["get", path, "x"], ["put", "new", path]] {
            host.refused(&arguments, 1, "zcmd: ");
        }
    }
    host.refused(&["ls", "/etc"], 1, "must be a path below the directory");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    for name in ["x", "x.part"] {
        assert!(!host.here.join(name).exists(), "{name}");
    }
    for bad in ["a\u{0}b", "a\nb", "--under=/", &"a".repeat(4097)] {
        let reply = host.house.os("read", &[bad, "0", "10"]);
        assert!(["bad_parameter", "too_large"].contains(&code(&reply)), "{bad:?} {reply}");
    }
}

#[test]
fn the_exit_status_says_why_there_is_no_copy() {
    let host = Host::new();
    fs::write(host.here.join("new"), "new").unwrap();
    host.refused(&["get", "missing"], 1, "\"missing\" cannot be opened: No such file");
    host.refused(&["put", "new", "none/new"], 1, "\"none\" cannot be opened");
    host.refused(&["get", "--command", "none", "new"], 127, "there is no command none");
    host.refused(&["facts", "--command", "read"], 125, "file");
    let mut denied = host.command(&["get", "new"]);
    let token = host.house.token("os:files");
    let denied = denied.env_remove("ZCMD_TOKEN_FILE").env("ZCMD_TOKEN", token).output().unwrap();
    assert_eq!(denied.status.code(), Some(126), "{denied:?}");
}

#[test]
fn a_rate_limit_makes_a_copy_slower() {
    let host = Host::with(&[("MAX_REQUESTS_PER_MINUTE", "120"), ("RATE_BURST", "1")]);
    let bytes = noise(3 * MIB);
    fs::write(host.files.join("file"), &bytes).unwrap();
    let begun = Instant::now();
    host.quiet(&["get", "file"]);
    assert!(begun.elapsed() > Duration::from_millis(900), "two waits of half a second");
    assert!(fs::read(host.here.join("file")).unwrap() == bytes);
    // Long enough for a person to be shown how far it is.
    let script = format!("\"$ZCMD\" get file {}", host.here.display());
    let Some(said) = terminal(&host.house, &script) else { return };
    assert!(said.contains("file: 1048576 of 3145728 bytes"), "{said}");
    assert!(said.ends_with("\r\u{1b}[K"), "{said:?}");
}

#[test]
fn facts_and_directories_are_shown_for_people_and_programs() {
    let host = Host::new();
    fs::create_dir(host.files.join("sub")).unwrap();
    fs::write(host.files.join("sub/a\u{1b}[2J"), "12345").unwrap();
    symlink("sub", host.files.join("to")).unwrap();
    let out = |arguments: &[&str]| {
        let output = host.run(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = out(&["ls"]);
    let names: Vec<_> = all.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(names, ["sub/", "to@"], "{all}");
    let sub = out(&["ls", "sub"]);
    assert!(sub.contains("            5 2") && sub.ends_with("Z a\\u{1b}[2J\n"), "{sub}");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let facts = out(&["facts"]);
    assert!(facts.contains(kernel.trim()) && facts.contains("\nmemory\n"), "{facts}");
    let reply: Value = serde_json::from_str(&out(&["--json", "facts"])).unwrap();
    let facts: Value = serde_json::from_str(reply["result"]["stdout"].as_str().unwrap()).unwrap();
    assert_eq!(facts["kernel"], kernel.trim());
}

#[test]
fn any_bytes_are_standard_input_of_a_command() {
    let house = House::new(json!({"copy": {"run": ["/bin/cat"]}}));
    let bytes = "AP9hCg==";
    let ask = |fields: Value| {
        let mut request = json!({"command_type": "os", "command_name": "copy"});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        house.ask(request)
    };
    assert_eq!(ask(json!({"stdin_base64": bytes}))["result"]["stdout_base64"], bytes);
    assert_eq!(ask(json!({"stdin_base64": ""}))["result"]["stdout"], "");
    assert_eq!(code(&ask(json!({"stdin_base64": "AP9hCg"}))), "malformed");
    assert_eq!(code(&ask(json!({"stdin_base64": bytes, "stdin": ""}))), "malformed");
}

/// What a terminal shows while a script runs `$ZCMD`; standard error is a pseudo-terminal.
fn terminal(house: &House, script: &str) -> Option<String> {
    let mut command = Command::new("script");
    command.args(["-qec", script, "/dev/null"]).stdin(Stdio::null());
    command.env("ZCMD", env!("CARGO_BIN_EXE_zcmd")).env("ZCMD_SERVER", &house.tcp);
    command.env("ZCMD_TOKEN_FILE", house.path("token"));
    let Ok(output) = command.output() else {
        skip("script(1) is missing");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_person_is_told_that_a_pipe_is_not_sent() {
    let house = House::new(json!({"copy": {"run": ["/bin/cat"]}}));
    let hint = "standard input is not sent; os --stdin NAME sends it";
    for (script, is_told) in [
        ("true | \"$ZCMD\" os copy", true),
        ("true | \"$ZCMD\" os --stdin copy", false),
        ("\"$ZCMD\" os copy < /dev/null", false),
        ("true | \"$ZCMD\" os copy 2>&1 | cat", false),
    ] {
        let Some(said) = terminal(&house, script) else { return };
        assert_eq!(said.contains(hint), is_told, "{script}: {said}");
    }
}
