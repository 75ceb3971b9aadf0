//! The unit of systemd is one, and fits the daemon's settings and exit statuses.

use std::fs;
use std::process::Command;

use zcmd::service::settings::Settings;

use crate::house::{folder, skip, zcmdd};
use crate::text;

const UNIT: &str = "deploy/systemd/zcmdd.service";
const PROGRAM: &str = "/usr/local/bin/zcmdd";

/// The values of a key of the unit.
fn values(key: &str) -> Vec<String> {
    let unit = text(UNIT);
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_unit_is_one_of_systemd() {
    let folder = folder();
    let file = folder.join("zcmdd.service");
    fs::write(&file, text(UNIT).replace(PROGRAM, env!("CARGO_BIN_EXE_zcmdd"))).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg(&file).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(error) => skip(&format!("systemd-analyze: {error}")),
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_unit_fits_the_daemon() {
    let read = |name: &str| (name == "JWT_SECRET_KEY").then(|| "x".into());
    let shown = Settings::read(&read).unwrap().shown;
    let variables = values("Environment");
    let set: Vec<_> =
        variables.iter().flat_map(|line| line.split(' ')).map(|set| set.split_once('=')).collect();
    assert_eq!(set.len(), 2, "{set:?}");
    for (name, _) in set.into_iter().map(Option::unwrap) {
        assert!(shown.iter().any(|(known, _)| *known == name), "{name}");
    }
    let grace = shown.iter().find(|(name, _)| *name == "SHUTDOWN_GRACE_SECONDS").unwrap();
    let [grace, stop] = [grace.1.as_str(), &values("TimeoutStopSec")[0]];
    let [grace, stop] = [grace, stop].map(|seconds| seconds.parse::<u64>().unwrap());
    assert!(stop > grace + 7, "{stop} {grace}");
    let wrong = zcmdd(&[("JWT_SECRET_KEY", "short")]).output().unwrap().status.code().unwrap();
    assert_eq!(values("RestartPreventExitStatus"), [wrong.to_string()]);
    assert_eq!(values("ExecStart"), [PROGRAM]);
}
