//! `scripts/install` puts files where its service names them, again and again, and takes them away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::house::folder;
use crate::{programs, root};

fn install(place: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(root().join("scripts/install"));
    command.arg(format!("--programs={}", programs().display()));
    command.args(arguments).env("DESTDIR", place).output().unwrap()
}

/// The files below a directory, with their modes.
fn found(place: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path));
        } else {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            found.push((path.display().to_string(), mode));
        }
    }
    found.sort();
    found
}

#[test]
fn an_installation_can_be_repeated_and_removed() {
    let place = folder();
    for prefix in ["/usr/local", "/opt/zcmd"] {
        let prefix_option = format!("--prefix={prefix}");
        let arguments = [prefix_option.as_str()];
        let output = install(&place, &arguments);
        assert!(output.status.success(), "{output:?}");
        let first = found(&place);
        assert!(install(&place, &arguments).status.success());
        assert_eq!(found(&place), first);
        let at = |name: &str| format!("{}{prefix}/{name}", place.display());
        for (name, mode) in [
            ("bin/zcmdd", 0o755),
            ("bin/zcmd", 0o755),
            ("bin/zcmd-tool", 0o755),
            ("lib/systemd/system/zcmdd.service", 0o644),
            ("lib/systemd/system/zcmdd@.service", 0o644),
            ("lib/sysusers.d/zcmd.conf", 0o644),
            ("share/zcmd/openrc/zcmdd", 0o644),
            ("share/doc/zcmd/docs/operations.md", 0o644),
        ] {
            assert!(first.contains(&(at(name), mode)), "{name}: {first:?}");
        }
        let unit = fs::read_to_string(at("lib/systemd/system/zcmdd.service")).unwrap();
        assert!(unit.contains(&format!("\nExecStart={prefix}/bin/zcmdd\n")), "{unit}");
        for file in ["key", "mine"] {
            fs::write(at(&format!("share/zcmd/{file}")), "the owner's").unwrap();
        }
        assert!(install(&place, &[&prefix_option, "--uninstall"]).status.success());
        let left: Vec<_> = found(&place).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, [at("share/zcmd/key"), at("share/zcmd/mine")]);
        fs::remove_dir_all(place.join(&prefix[1..])).unwrap();
    }
    let output = install(&place, &["--prefix=relative"]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    fs::remove_dir_all(place).unwrap();
}
