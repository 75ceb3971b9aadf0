//! The clients in other languages, built and run with the lines that their page prints, with and
//! without CURVE: each prints what the page shows, tells output while the command runs, and ends
//! with an error when no daemon answers. One whose parts are not there is skipped, by its name.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

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
struct Workplace(PathBuf);

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

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

    /// Starts the example as a client of this daemon, with a variable of another value.
    fn start(&self, run: &str, house: &House, other: Option<(&str, &str)>) -> Child {
        // Its bound: nothing of it takes so long.
        let mut command = self.shell(&format!("exec timeout 60 {run}"));
        let zcmd = house.zcmd(&[]);
        command.envs(zcmd.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(other);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Builds an example, if what it needs is there, which this line of the shell tells, and runs it.
fn example(language: &str, is_there: &str) {
    let workplace = Workplace(crate::house::folder());
    copy_examples(&workplace.0);
    let modules = root().join("examples/node/node_modules");
    std::os::unix::fs::symlink(modules, workplace.0.join("node/node_modules")).unwrap();
    if !workplace.shell(is_there).output().unwrap().status.success() {
        return skip(&format!("the parts for {language} are missing; scripts/test installs them"));
    }
    let [once, run] = row(language);
    // scripts/test has done that for JavaScript: tests do not touch the network.
    if !once.starts_with("npm") {
        let built = workplace.shell(&once).output().unwrap();
        let said = [built.stdout, built.stderr].concat();
        assert!(built.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
    let go = ["go-on", "go-on-with-curve"].map(|name| workplace.0.join(name));
    let (plain, curve) = (House::new(commands(&go[0])), House::with_curve(commands(&go[1]), &[]));
    let other_key = fs::read_to_string(curve.path("client.pub")).unwrap();
    let unanswered = [
        workplace.start(&run, &plain, Some(("ZCMD_SERVER", "tcp://127.0.0.1:9"))),
        workplace.start(&run, &curve, Some(("ZCMD_SERVER_KEY", other_key.trim_end()))),
    ];
    for (house, go) in [(&plain, &go[0]), (&curve, &go[1])] {
        let mut child = workplace.start(&run, house, None);
        let mut found = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
            if line == "step 1" {
                fs::write(go, "").unwrap();
            }
            found = found + &line + "\n";
        }
        let end = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr);
        assert_eq!((found, said.as_ref()), (printed(), ""), "{language}, CURVE: {}", house.curve);
        assert!(end.status.success(), "{language}: {}", end.status);
    }
    for child in unanswered {
        let end = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr);
        let words = ["no answer in time", "no daemon answers", "the handshake fails"];
        let told = words.iter().any(|words| said.contains(words));
        assert!(!end.status.success() && end.stdout.is_empty() && told, "{language}: {end:?}");
    }
}

#[test]
fn the_clients_in_other_languages_do_what_their_page_shows() {
    let headers = |names: &str| format!("printf '#include <%s>\n' {names} | cc -E -");
    let parts = [
        ("Python", "python3 -c 'import zmq'".to_owned()),
        ("JavaScript", "command -v node && [ -d node/node_modules/zeromq ]".to_owned()),
        ("C", headers("zmq.h jansson.h")),
        ("Go", format!("command -v go && {}", headers("zmq.h"))),
        ("shell", "true".to_owned()),
    ];
    let page = text("examples/README.md");
    assert_eq!(page.lines().filter(|line| line.starts_with("| [")).count(), parts.len());
    // Side by side, since each waits some seconds for a daemon that does not answer.
    let threads = parts.map(|(language, is_there)| {
        let name = format!("the client in {language}");
        thread::Builder::new().name(name).spawn(move || example(language, &is_there)).unwrap()
    });
    let ends = threads.map(|thread| thread.join().is_ok());
    assert_eq!(ends, [true; 5], "see above");
}
