//! The static programs: they need no other file. `scripts/build-static` makes them; without them,
//! these tests are skipped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::house::{folder, is_root, skip, until, write_secret};
use crate::root;

/// Bytes of the static daemon: 5 % more than today.
const STATIC_BYTES_MAX: u64 = 2_900_000;

/// The directory of the static programs.
fn built() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let built = target.join("static");
    if !built.join("zcmdd").exists() {
        skip("there are no static programs: scripts/build-static");
        return None;
    }
    Some(built)
}

#[test]
fn the_static_daemon_is_small() {
    let Some(built) = built() else { return };
    let bytes = fs::metadata(built.join("zcmdd")).unwrap().len();
    assert!(bytes <= STATIC_BYTES_MAX, "{bytes}");
}

struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The programs of the test are the only ones there; the kernel's own file systems are, too.
#[test]
fn in_an_empty_root_the_static_programs_answer_maths_and_run_a_command() {
    let Some(built) = built() else { return };
    if !is_root("chroot") {
        return;
    }
    let place = folder();
    // Nothing of it is writable by others: the daemon trusts no other directory.
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    for program in ["zcmdd", "zcmd", "zcmd-tool"] {
        fs::copy(built.join(program), place.join(program)).unwrap();
    }
    fs::create_dir(place.join("proc")).unwrap();
    fs::create_dir(place.join("dev")).unwrap();
    fs::write(place.join("dev/null"), "").unwrap();
    write_secret(&place.join("key"), "0123456789abcdefghijklmnopqrstuvwxyz\n");
    let commands = r#"{"version": {"run": ["/zcmd-tool", "--version"]}}"#;
    fs::write(place.join("commands.json"), commands).unwrap();
    let path = place.display().to_string();
    let script = "mount -t proc proc \"$0/proc\" && mount --bind /dev/null \"$0/dev/null\" && \
                  exec chroot \"$0\" \"$@\"";
    let inside = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-c", script, &path]).args(arguments);
        command.env("JWT_SECRET_KEY_FILE", "/key").env("COMMANDS_FILE", "/commands.json");
        command.env("SERVER_ADDRESS", "ipc:///socket").env("ZCMD_SERVER", "ipc:///socket");
        command.stdin(Stdio::null());
        command
    };
    let daemon = Ends(inside(&["/zcmdd"]).spawn().unwrap());
    let token = inside(&["/zcmdd", "token", "--sub", "a", "--scope", "compute os:*"]).output();
    let token = String::from_utf8(token.unwrap().stdout).unwrap();
    until("the socket", || place.join("socket").exists().then_some(()));
    for (arguments, wanted) in [
        (&["/zcmd", "compute", "2^100"][..], "1267650600228229401496703205376\n"),
        (&["/zcmd", "os", "version"], concat!("zcmd-tool ", env!("CARGO_PKG_VERSION"), "\n")),
    ] {
        let output = inside(arguments).env("ZCMD_TOKEN", token.trim_end()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{output:?}");
    }
    drop(daemon);
    fs::remove_dir_all(place).unwrap();
}
