//! The units of systemd are ones, and fit the daemon's settings and exit statuses; so do the scripts
//! for OpenRC and procd, which are only parsed here. `scripts/boot` runs the units.

use std::fs;
use std::process::Command;

use zcmd::service::settings::Settings;

use crate::house::{folder, zcmdd};
use crate::{files, output, text};

const SERVICE: &str = "deploy/systemd/zcmdd.service";
const INSTANCE: &str = "deploy/systemd/zcmdd@.service";
const PROGRAM: &str = "/usr/local/bin/zcmdd";
/// The greatest exposure by `systemd-analyze security`, in tenths: with commands, and without.
const EXPOSURE_MAX: [(&str, u32); 2] = [("", 28), ("deploy/systemd/maths-only.conf", 14)];

/// The values of a key of a unit.
fn values(unit: &str, key: &str) -> Vec<String> {
    let unit = text(unit);
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_units_are_ones_of_systemd_with_each_drop_in() {
    let folder = folder();
    let drop_ins = files("deploy/systemd").into_iter().filter(|file| file.ends_with(".conf"));
    for drop_in in drop_ins.map(Some).chain([None]) {
        for (unit, name) in [(SERVICE, "zcmdd.service"), (INSTANCE, "zcmdd@one.service")] {
            let (file, more) = (folder.join(name), folder.join(format!("{name}.d")));
            let program = env!("CARGO_BIN_EXE_zcmdd");
            fs::write(&file, text(unit).replace(PROGRAM, program)).unwrap();
            let _ = fs::remove_dir_all(&more);
            if let Some(drop_in) = &drop_in {
                fs::create_dir(&more).unwrap();
                fs::write(more.join("more.conf"), text(drop_in)).unwrap();
            }
            let mut verify = Command::new("systemd-analyze");
            let Some(output) = output(verify.args(["verify", "--man=no"]).arg(&file)) else {
                break;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{name} {drop_in:?}: {said}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_exposure_of_the_service_is_bounded() {
    let folder = folder();
    for (drop_in, most) in EXPOSURE_MAX {
        let more = if drop_in.is_empty() { String::new() } else { text(drop_in) };
        // Sections of the same name are one.
        let file = folder.join("zcmdd.service");
        fs::write(&file, format!("{}\n{more}", text(SERVICE))).unwrap();
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--no-pager", "--offline=yes"]);
        analyze.arg(format!("--threshold={most}")).arg(&file);
        let Some(output) = output(&mut analyze) else { break };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{drop_in}: {}", said.lines().last().unwrap_or_default());
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_units_fit_the_daemon() {
    let read = |name: &str| (name == "JWT_SECRET_KEY").then(|| "x".into());
    let shown = Settings::read(&read).unwrap().shown;
    let default = |name: &str| shown.iter().find(|(known, _)| *known == name).map(|(_, v)| v);
    let wrong = zcmdd(&[("JWT_SECRET_KEY", "short")]).output().unwrap().status.code().unwrap();
    for unit in [SERVICE, INSTANCE] {
        let variables = values(unit, "Environment");
        let set: Vec<_> = variables.iter().flat_map(|line| line.split(' ')).collect();
        assert_eq!(set.len(), 2, "{set:?}");
        for name in set.into_iter().map(|set| set.split_once('=').unwrap().0) {
            assert!(default(name).is_some(), "{name}");
        }
        let grace = default("SHUTDOWN_GRACE_SECONDS").unwrap();
        let [grace, stop] = [grace.as_str(), &values(unit, "TimeoutStopSec")[0]];
        let [grace, stop] = [grace, stop].map(|seconds| seconds.parse::<u64>().unwrap());
        assert!(stop > grace + 7, "{stop} {grace}");
        assert_eq!(values(unit, "RestartPreventExitStatus"), [wrong.to_string()]);
        assert_eq!(values(unit, "ExecStart"), [PROGRAM]);
    }
}

/// What one instance of several does otherwise: its name, its directories, its settings.
#[test]
fn an_instance_is_as_the_service() {
    let changed = |unit: &str| -> Vec<String> {
        let (here, there) = (text(SERVICE), text(INSTANCE));
        let other = if unit == SERVICE { there } else { here };
        let own = text(unit);
        let own = own.lines().filter(|line| !line.starts_with('#') && !other.contains(*line));
        own.map(str::to_owned).collect()
    };
    let wanted = [
        "Description=Commands that the owner allowed, and maths, over ZeroMQ (%i)",
        "EnvironmentFile=/etc/zcmd/%i.environment",
        "RuntimeDirectory=zcmd-%i",
        "LogsDirectory=zcmd-%i",
    ];
    assert_eq!(changed(INSTANCE), wanted);
    let none: Vec<String> = changed(SERVICE);
    assert!(none.iter().all(|line| line.contains("Directory=zcmd")), "{none:?}");
}

#[test]
fn every_shell_script_is_clean() {
    let is_script = |file: &String| {
        fs::read(crate::root().join(file)).is_ok_and(|bytes| bytes.starts_with(b"#!/"))
    };
    let scripts = ["scripts", "deploy", ".ci"].map(files).concat();
    let scripts: Vec<_> = scripts.into_iter().filter(is_script).collect();
    assert!(scripts.len() > 10, "{scripts:?}");
    let shells = scripts.iter().filter(|file| !text(file).starts_with("#!/usr/bin/env python"));
    let mut check = Command::new("shellcheck");
    check.current_dir(crate::root()).args(["--shell=sh", "--severity=warning"]).args(shells);
    let Some(output) = output(&mut check) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
