//! Paths that are passed as descriptors: what is opened is what was checked.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use house::{House, code, folder};
use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use serde_json::{Value, json};

/// A directory for a command, and a secret beside it.
struct Place {
    whole: PathBuf,
    inside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let whole = folder();
        let inside = whole.join("inside");
        fs::create_dir_all(inside.join("deep")).unwrap();
        fs::write(whole.join("secret"), "secret").unwrap();
        for name in ["file", "deep/file"] {
            fs::write(inside.join(name), "open").unwrap();
        }
        Self { whole, inside }
    }

    fn parameter(&self, name: &str) -> Value {
        json!({"name": name, "type": "path", "under": self.inside, "pass": "fd"})
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.whole);
    }
}

#[test]
fn old_wound_a_path_that_is_opened_is_a_regular_file_beneath_its_directory() {
    let place = Place::new();
    let inside = |name: &str| place.inside.join(name);
    let links = [("out", "../secret"), ("up", ".."), ("in", "deep/file"), ("none", "../none")];
    links.iter().for_each(|(link, target)| symlink(target, inside(link)).unwrap());
    symlink(inside("file"), inside("absolute")).unwrap();
    symlink("loop", inside("loop")).unwrap();
    fs::hard_link(place.whole.join("secret"), inside("hard")).unwrap();
    let fifo = inside("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let cat = |under: &str| {
        json!({"run": ["/bin/cat", "{f}"], "parameters": [
            {"name": "f", "type": "path", "under": under, "pass": "fd"}]})
    };
    let house = House::new(json!({
        "cat": cat(place.inside.to_str().unwrap()),
        "dev": cat("/dev"),
        "own": cat("/proc/self"),
    }));
    let whole = inside("file").display().to_string();
    let stays = "must be a path that stays beneath its directory";
    let regular = "must be a regular file";
    for (command, path, wanted) in [
        ("cat", "file", Ok("open")),
        ("cat", &whole, Ok("open")),
        ("cat", "deep/file", Ok("open")),
        ("cat", "in", Ok("open")),
        ("cat", "../secret", Err("must be a path beneath")),
        ("cat", "/etc/passwd", Err("must be a path beneath")),
        ("cat", "out", Err(stays)),
        ("cat", "up/secret", Err(stays)),
        ("cat", "none", Err(stays)),
        ("cat", "absolute", Err(stays)),
        ("cat", "loop", Err("cannot be opened: Too many levels")),
        ("cat", "absent", Err("cannot be opened: No such file")),
        ("cat", "hard", Err("must be a file with one name")),
        ("cat", "fifo", Err(regular)),
        ("cat", "deep", Err(regular)),
        ("dev", "null", Err(regular)),
        ("dev", "tty", Err(regular)),
        ("own", "root/etc/passwd", Err("cannot be opened: Too many levels")),
        ("own", "exe", Err("cannot be opened: Too many levels")),
    ] {
        let reply = house.os(command, &[path]);
        match wanted {
            Ok(text) => assert_eq!(reply["result"]["stdout"], text, "{path}: {reply}"),
            Err(why) => {
                assert_eq!(
                    (code(&reply), &reply["error"]["executed"]),
                    ("bad_parameter", &json!(false))
                );
                let message = reply["error"]["message"].as_str().unwrap();
                assert!(message.starts_with(&format!("parameter f: {why}")), "{path}: {message}");
            }
        }
    }
}

#[test]
fn old_wound_a_path_that_is_swapped_in_a_loop_never_leads_outside() {
    let place = Place::new();
    let (name, other) = (place.inside.join("file"), place.inside.join("other"));
    symlink("../secret", &other).unwrap();
    let house = House::new(json!({
        "cat": {"run": ["/bin/cat", "{f}"], "parameters": [place.parameter("f")]},
    }));
    let stop = AtomicBool::new(false);
    let (mut opened, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &name, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let all = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..300 {
                let reply = house.os("cat", &["file"]);
                match &reply["result"]["stdout"] {
                    Value::Null => {
                        assert_eq!(code(&reply), "bad_parameter");
                        refused += 1;
                    }
                    text => {
                        assert_eq!(text, "open", "after {opened} opened and {refused} refused");
                        opened += 1;
                    }
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        all.unwrap();
    });
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

#[test]
fn a_command_gets_the_descriptors_of_its_files_and_no_other() {
    let place = Place::new();
    let path = place.inside.join("file").display().to_string();
    let mut files = place.parameter("g");
    files["repeat"] = json!(2);
    let script = "echo \"$@\"; ls -l /proc/self/fd; cat \"$3\"";
    let house = House::new(json!({
        "show": {"run": ["/bin/sh", "-c", script, "sh", "{f}={t}={f}", "{t}", "{g}"],
                 "parameters": [place.parameter("f"), {"name": "t", "type": "text"}, files]},
    }));
    let values = ["file", &path, "deep/file", "file"];
    let reply = house.os("show", &values);
    let text = reply["result"]["stdout"].as_str().unwrap_or_else(|| panic!("{reply}"));
    let (arguments, rest) = text.split_once('\n').unwrap();
    // ` 3 -> /path`: all that ls has above 2 are the three files and the directory that it lists.
    let links = rest.lines().filter_map(|line| line.split_once(" -> "));
    let links = links.map(|(left, target)| (left.rsplit(' ').next().unwrap(), target));
    let links: Vec<(&str, &str)> = links.filter(|(n, _)| n.parse::<u32>().unwrap() > 2).collect();
    let (files, others): (Vec<(&str, &str)>, Vec<_>) =
        links.into_iter().partition(|(_, target)| target.ends_with("file"));
    assert!(others.len() == 1 && others[0].1.starts_with("/proc/"), "{text}");
    let [f, g, h] = files[..] else { panic!("{text}") };
    let fd = |link: (&str, &str)| format!("/proc/self/fd/{}", link.0);
    let wanted = format!("{0}={path}={0} {path} {1} {2}", fd(f), fd(g), fd(h));
    assert_eq!(arguments, wanted);
    assert_eq!([f.1, h.1], [&path, &path]);
    assert!(text.ends_with("open"), "{text}");

    // The log and the explanation show the paths.
    let argv = house.logged("command_accepted")[0]["argv"].clone();
    assert_eq!(argv[4], format!("{path}={path}={path}"));
    let explained = house.ask(json!({"command_type": "os", "command_name": "show",
        "parameters": values, "explain": true}));
    assert_eq!(explained["result"]["argv"], argv);
    assert_eq!(explained["result"]["pass_fd"], json!(["f", "g"]));
    let listed = house.ask(json!({"command_type": "list"}));
    assert_eq!(listed["result"]["commands"][0]["parameters"][0]["pass"], "fd");
    let shown = String::from_utf8(house.run(&["list"]).stdout).unwrap();
    assert!(shown.contains(&format!("path under {}, pass fd", place.inside.display())), "{shown}");
}

#[test]
fn a_file_is_opened_as_the_user_of_the_command() {
    if !house::is_root("becoming another user") {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.inside.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    let house = House::new(json!({"cat": {"run": ["/bin/cat", "{f}"], "user": "nobody",
        "parameters": [place.parameter("f")]}}));
    assert_eq!(house.os("cat", &["deep/file"])["result"]["stdout"], "open");
    let message = house.os("cat", &["file"])["error"]["message"].clone();
    assert!(message.as_str().unwrap().starts_with("parameter f: cannot be opened: Perm"));
}
