//! The console blocks of the documents, run as printed.
//!
//! The blocks of one page are one session of `sh` in a new directory, which is also `HOME` and is
//! empty but for the page of `examples`, which finds these in it; `PATH` begins with the built programs. What follows `$ ` is a command, with the lines of a here
//! document and those after a backslash at the end; the other lines are what it prints, on
//! standard output and standard error. `…` stands for any text within a line, and alone on a line
//! for any lines.
//! A page writes 5555 for the port of its daemon. Each session has a port of its own, which is put
//! in that place, so that the pages run side by side and beside a daemon of this host. A command
//! that leaves `zcmdd` in the background is given until the port has a listener.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use crate::house::{folder, until};
use crate::{copy_examples, pages, text};

/// A command, and the lines that it is to print.
type Step = (String, Vec<String>);

/// The steps of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let page_text = text(page);
    for block in page_text.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").expect("the end of the block");
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("$ ") else {
                let (_, expected) = steps.last_mut().expect("a command before what it prints");
                expected.push(line.to_owned());
                continue;
            };
            let mut command = command.to_owned();
            let document = command.split("<<'").nth(1).and_then(|rest| rest.split('\'').next());
            let end = document.map(str::to_owned);
            while command.ends_with('\\') || end.as_ref().is_some_and(|end| !ends(&command, end)) {
                command = format!("{command}\n{}", lines.next().expect("the end of a command"));
            }
            steps.push((command, Vec::new()));
        }
    }
    steps
}

fn ends(command: &str, end: &str) -> bool {
    command.lines().last() == Some(end)
}

/// Whether a line is what was printed, up to its ellipses.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return pattern == line };
    let Some(mut line) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = line.find(part) else { return false };
        line = &line[at + part.len()..];
    }
    line.ends_with(last)
}

/// Whether these lines are what was printed.
fn match_lines(expected: &[String], found: &[&str]) -> bool {
    match (expected.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "…" => {
            (0..=found.len()).any(|count| match_lines(rest, &found[count..]))
        }
        (Some((first, rest)), Some((line, lines))) => fits(first, line) && match_lines(rest, lines),
        _ => false,
    }
}

/// A port without a listener, below those that the kernel gives out.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    until("a free port", || {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    })
}

/// Whether a port has a listener. To connect would be a failed handshake in the log.
fn is_listened_at(port: u16) -> bool {
    let port = format!(":{port:04X}");
    let table = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|file| fs::read_to_string(file).unwrap_or_default());
    table.iter().flat_map(|table| table.lines()).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 0A is LISTEN.
        fields.len() > 3 && fields[1].ends_with(&port) && fields[3] == "0A"
    })
}

/// One page's shell, and all that it has started.
struct Session {
    shell: Child,
    folder: PathBuf,
    port: u16,
    count: usize,
}

impl Session {
    fn open() -> Self {
        let (folder, port) = (folder(), free_port());
        let programs = Path::new(env!("CARGO_BIN_EXE_zcmd")).parent().unwrap();
        let home = folder.join("home");
        fs::create_dir(&home).unwrap();
        let shell = Command::new("/bin/sh")
            .env_clear()
            .env("HOME", &home)
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("SERVER_ADDRESS", format!("tcp://127.0.0.1:{port}"))
            .env("ZCMD_SERVER", format!("tcp://127.0.0.1:{port}"))
            .current_dir(&home)
            .stdin(Stdio::piped())
            // What is begun here ends with it, whatever happens.
            .process_group(0)
            .spawn()
            .unwrap();
        Self { shell, folder, port, count: 0 }
    }

    /// Runs a command; gives what it printed.
    fn run(&mut self, command: &str) -> String {
        self.count += 1;
        let out = self.folder.join(format!("out.{}", self.count));
        let done = self.folder.join(format!("done.{}", self.count));
        let own = command.replace("5555", &self.port.to_string());
        let (out, done) = (out.display(), done.display());
        let line = format!("{{ {own}\n}} > {out} 2>&1 < /dev/null\n: > {done}\n");
        self.shell.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        until(command, || fs::exists(done.to_string()).unwrap().then_some(()));
        let starts = command.trim_start().contains("zcmdd") && command.trim_end().ends_with('&');
        if starts {
            until("a daemon that listens", || is_listened_at(self.port).then_some(()));
        }
        let printed = fs::read(out.to_string()).unwrap();
        String::from_utf8_lossy(&printed).replace(&format!(":{}", self.port), ":5555")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.shell);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a page; gives how many commands it has, and where they printed something else.
fn run(page: &str) -> (usize, Vec<String>) {
    let (steps, mut faults) = (steps(page), Vec::new());
    if steps.is_empty() {
        return (0, faults);
    }
    let mut session = Session::open();
    if page.starts_with("examples/") {
        copy_examples(&session.folder.join("home"));
    }
    for (command, expected) in &steps {
        let found = session.run(command);
        let lines: Vec<&str> = found.lines().collect();
        if !match_lines(expected, &lines) {
            let expected = expected.join("\n");
            faults.push(format!("{page}:\n$ {command}\n{expected}\n---- printed:\n{found}"));
        }
    }
    (steps.len(), faults)
}

#[test]
fn every_console_block_prints_what_it_shows() {
    let threads = pages().into_iter().map(|page| thread::spawn(move || run(&page)));
    let threads: Vec<_> = threads.collect();
    let runs: Vec<_> = threads.into_iter().map(|page| page.join().unwrap()).collect();
    let faults: Vec<_> = runs.iter().flat_map(|(_, faults)| faults.clone()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    let count: usize = runs.iter().map(|(count, _)| count).sum();
    assert!(count > 40, "the blocks are where they are looked for: {count} commands");
}

#[test]
fn the_comparison_bites() {
    let cases = [
        ("14", "14", true),
        ("14", "15", false),
        ("up … minutes", "up 1 hour, 6 minutes", true),
        ("up … minutes", "up 3 days", false),
        ("a…b…c", "axbxc", true),
        ("a…b…c", "axcxb", false),
        ("", "14", false),
        ("…", "", true),
        ("one\n…\nfour", "one\ntwo\nthree\nfour", true),
        ("one\n…\nfour", "one\ntwo\nthree", false),
    ];
    for (expected, found, wanted) in cases {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        let found: Vec<&str> = found.lines().collect();
        assert_eq!(match_lines(&expected, &found), wanted, "{expected:?} {found:?}");
    }
}
