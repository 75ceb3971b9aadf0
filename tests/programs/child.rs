//! A command that misbehaves on request, for the tests of the end of commands.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // Prints its arguments, each ended by NUL.
        Some("print") => {
            let text: String = arguments.iter().skip(1).map(|word| format!("{word}\0")).collect();
            std::io::stdout().write_all(text.as_bytes())
        }
        // Starts four processes that would outlive it, and ends: one in the background, one in its
        // own session, one whose parent has ended, one that ignores SIGTERM.
        Some("tree") => {
            let background = start("wait", false)?;
            let session = start("session", false)?;
            let orphan = start_by_another("session")?;
            let stubborn = start_by_another("stubborn")?;
            println!("{background} {session} {orphan} {stubborn}");
            Ok(())
        }
        // The same, and keeps running.
        Some("tree-and-wait") => {
            println!("{} {}", start("stubborn", false)?, start_by_another("stubborn")?);
            wait()
        }
        // Starts a process without parent and environment, and runs for a while.
        Some("escape") => {
            println!("{}", start_by_another("wiped")?);
            Ok(())
        }
        Some("wipe") => {
            println!("{}", start("session", true)?);
            Ok(())
        }
        Some("start") => {
            println!("{}", start(arguments.get(1).map_or("wait", String::as_str), false)?);
            Ok(())
        }
        Some("session") => {
            own_session()?;
            wait()
        }
        Some("stubborn") => {
            own_session()?;
            let seen = std::sync::Arc::default();
            signal_hook::flag::register(signal_hook::consts::SIGTERM, seen)?;
            wait()
        }
        // Moves to the process group of its parent, where signals to its own group do not reach it.
        Some("regroup") => {
            let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
            let status = std::fs::read_to_string(format!("/proc/{parent}/status"))?;
            let group = status.lines().find_map(|line| line.strip_prefix("NSpgid:"));
            // It is 0 if the parent's group is outside of the namespace; then the group is its own.
            let group = group.and_then(|number| number.trim().parse().ok());
            // The kernel refuses a group of another session.
            let _ = rustix::process::setpgid(None, group.and_then(rustix::process::Pid::from_raw));
            wait()
        }
        Some("wait") => wait(),
        other => Err(std::io::Error::other(format!("unknown argument {other:?}"))),
    }
}

fn wait() -> std::io::Result<()> {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Leaves the session and the process group; a group leader cannot.
fn own_session() -> std::io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Starts this program in another role and leaves it running; returns its process ID. It keeps
/// standard output open.
fn start(what: &str, wiped: bool) -> std::io::Result<u32> {
    let mut command = Command::new(std::env::current_exe()?);
    if wiped {
        command.env_clear();
    }
    let pid = command.arg(what).stdin(Stdio::null()).spawn()?.id();
    // Waits until it has set itself up: it may be killed at any time after this.
    while !is_ready(pid, what)? {
        std::thread::yield_now();
    }
    Ok(pid)
}

/// Whether a process has left the session and catches SIGTERM, as its role says.
fn is_ready(pid: u32, what: &str) -> std::io::Result<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    let leads_session = field("NSsid:").trim() == pid.to_string();
    let caught = u64::from_str_radix(field("SigCgt:").trim(), 16).unwrap_or(0);
    Ok(match what {
        "session" => leads_session,
        "stubborn" => leads_session && caught & (1 << (signal_hook::consts::SIGTERM - 1)) != 0,
        _ => true,
    })
}

/// Starts this program from another process, and waits until that one ends.
fn start_by_another(what: &str) -> std::io::Result<u32> {
    let mut command = Command::new(std::env::current_exe()?);
    match what {
        "wiped" => command.arg("wipe"),
        what => command.args(["start", what]),
    };
    // A file passes the process ID: the pipe stays open in the started process.
    let file = std::env::temp_dir().join(format!("zcmd-child-{}-{what}", std::process::id()));
    command.stdout(std::fs::File::create(&file)?).status()?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    text.trim().parse().map_err(std::io::Error::other)
}
