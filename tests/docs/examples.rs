//! The clients in other languages, built and run with the lines that their page prints, with and
//! without CURVE: each prints what the page shows, tells output while the command runs, and ends
//! with an error when no daemon answers. One whose parts are not there is skipped, by its name.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::house::{House, sh, skip};
use crate::{copy_examples, root, text};

/// The cells "once" and "run" of a language's row.
fn row(language: &str) -> [String; 2] {
    let page = text("examples/README.md");
    let start = format!("| [{language}](");
    let row = page.lines().find(|line| line.starts_with(&start)).expect(language);
    let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
    [cells[3].to_owned(), cells[4].to_owned()]
}

/// What the page shows that they print.
fn printed() -> String {
    let page = text("examples/README.md");
    let shown = page.split("\n$ shell/client\n").nth(1).unwrap();
    shown.split("```").next().unwrap().to_owned()
}

/// The commands of the examples; the steps after the first wait until they are told to go on.
fn commands(go: &Path) -> Value {
    let mut commands: Value = serde_json::from_str(&text("examples/commands.json")).unwrap();
    let steps = "echo step 1; until [ -e GO ]; do sleep 0.02; done; echo step 2; echo step 3";
    commands["steps"] = sh(&steps.replace("GO", &go.display().to_string()));
    commands
}

/// The example's folder, where it is built and run.
struct Workplace(std::path::PathBuf);

impl Workplace {
    fn shell(&self, line: &str) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_zcmd")).parent().unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .env_clear()
            .env("HOME", &self.0)
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    /// Starts the example as a client of this daemon, or at another address.
    fn start(&self, run: &str, house: &House, server: Option<&str>) -> Child {
        let mut command = self.shell(&format!("exec {run}"));
        let zcmd = house.zcmd(&[]);
        command.envs(zcmd.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(server.map(|server| ("ZCMD_SERVER", server)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Builds and runs an example, if what it needs is there, which this line of the shell tells.
fn example(language: &str, is_there: &str) {
    let workplace = Workplace(crate::house::folder());
    copy_examples(&workplace.0);
    let modules = root().join("examples/node/node_modules");
    std::os::unix::fs::symlink(modules, workplace.0.join("node/node_modules")).unwrap();
    let probe = workplace.shell(is_there).output().unwrap().status;
    if !probe.success() {
        skip(&format!("the parts for {language} are missing; scripts/test installs them"));
        return;
    }
    let [once, run] = row(language);
    // scripts/test has done that for JavaScript: tests do not touch the network.
    if !once.starts_with("npm") {
        let built = workplace.shell(&once).output().unwrap();
        let said = [built.stdout, built.stderr].concat();
        assert!(built.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
    for curve in [false, true] {
        let go = workplace.0.join(format!("go-{curve}"));
        let commands = commands(&go);
        let house = if curve { House::with_curve(commands, &[]) } else { House::new(commands) };
        let unanswered = workplace.start(&run, &house, Some("tcp://127.0.0.1:9"));
        let mut child = workplace.start(&run, &house, None);
        let mut found = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
            if line == "step 1" {
                fs::write(&go, "").unwrap();
            }
            found = found + &line + "\n";
        }
        let end = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr);
        assert_eq!((found, said.as_ref()), (printed(), ""), "{language}, CURVE: {curve}");
        assert!(end.status.success(), "{language}: {}", end.status);
        let end = unanswered.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr);
        let told = said.contains("no answer in time") || said.contains("no daemon answers");
        assert!(!end.status.success() && end.stdout.is_empty() && told, "{language}: {end:?}");
    }
    fs::remove_dir_all(&workplace.0).unwrap();
}

#[test]
fn the_client_in_python_does_what_its_page_shows() {
    example("Python", "python3 -c 'import zmq'");
}

#[test]
fn the_client_in_javascript_does_what_its_page_shows() {
    example("JavaScript", "command -v node && [ -d node/node_modules/zeromq ]");
}

#[test]
fn the_client_in_c_does_what_its_page_shows() {
    example("C", "printf '#include <zmq.h>\n#include <jansson.h>\n' | cc -E -");
}

#[test]
fn the_client_in_go_does_what_its_page_shows() {
    example("Go", "command -v go && echo '#include <zmq.h>' | cc -E -");
}

#[test]
fn the_client_in_shell_does_what_its_page_shows() {
    example("shell", "true");
}
