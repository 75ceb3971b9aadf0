//! Measured server processes, and the bare echo.
//!
//! Promises: a server ends on drop. Its cost is read from /proc, from outside.
//! Leaves out: the setup of a daemon.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{self, Pid, Resource, Rlimit, Signal};
use zcmd::client::settings::Servers;
use zcmd::client::status::Failure;

/// The argument that makes this program the echo.
pub(crate) const ECHO: &str = "--be-the-echo";
/// The limit on connections of a server of this run.
pub(crate) const CONNECTIONS_MAX: i32 = 20_000;
/// The time for a server to end before it is killed.
const END: Duration = Duration::from_secs(5);
/// The interval of polling, where no descriptor signals.
pub(crate) const LOOK: Duration = Duration::from_micros(50);

/// A server process of this run.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) servers: Servers,
    /// The time from its start until it listens.
    pub(crate) start: Duration,
}

impl Server {
    /// A bare echo server, on the same transport as `like`.
    pub(crate) fn echo(like: &str, reply: &[u8]) -> Result<Self, Failure> {
        let address = match like.starts_with("ipc://") {
            // An abstract socket leaves no file.
            true => format!("ipc://@zcmd-bench-{}", std::process::id()),
            false => "tcp://127.0.0.1:*".to_owned(),
        };
        let begin = Instant::now();
        let mut command = Command::new(std::env::current_exe().map_err(failed("no echo"))?);
        command.args([ECHO, &address, &String::from_utf8_lossy(reply)]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed("no echo"))?;
        let mut address = String::new();
        let stdout = child.stdout.take();
        let read = stdout.map(|stdout| BufReader::new(stdout).read_line(&mut address));
        let servers = Servers { addresses: vec![address.trim_end().to_owned()], curve: None };
        let server = Self { child, servers, start: begin.elapsed() };
        match read {
            Some(Ok(1..)) => Ok(server),
            _ => Err(Failure::refused("the echo does not start")),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<f64, Failure> {
        let text = read(format!("/proc/{}/status", self.pid()).into())?;
        let value = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Failure::refused("/proc has no VmRSS"))
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> Result<usize, Failure> {
        let folder = format!("/proc/{}/fd", self.pid());
        Ok(std::fs::read_dir(&folder).map_err(failed(&folder))?.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = self.pid().try_into()
            && let Some(pid) = Pid::from_raw(pid)
        {
            // A failure shows in `wait`.
            let _ = process::kill_process(pid, Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < END {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of all threads of a process in nanoseconds (`schedstat`, first column).
pub(crate) fn cpu(pid: u32) -> Result<f64, Failure> {
    let folder = format!("/proc/{pid}/task");
    let tasks = std::fs::read_dir(&folder).map_err(failed(&folder))?;
    let mut sum = 0.0;
    for task in tasks.flatten() {
        let text = read(task.path().join("schedstat"))?;
        let first = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        sum += first.ok_or_else(|| Failure::refused("/proc has no schedstat"))?;
    }
    Ok(sum)
}

/// Raises the limit on descriptors to the hard limit; returns it.
pub(crate) fn raise_descriptors() -> usize {
    let limit = process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let _ = process::setrlimit(Resource::Nofile, raised);
    let current = process::getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

/// Runs the echo server until its parent ends.
pub(crate) fn echo(address: &str, reply: &[u8]) -> ExitCode {
    let _ = process::set_parent_process_death_signal(Some(Signal::KILL));
    let serve = || {
        // The context has an I/O thread of its own, as the daemon has.
        let router = zmq::Context::new().socket(zmq::ROUTER)?;
        // This libzmq takes it as the bound on connections.
        router.set_backlog(CONNECTIONS_MAX)?;
        router.bind(address)?;
        let bound = router.get_last_endpoint()?.unwrap_or_default();
        let mut stdout = std::io::stdout();
        let _ = writeln!(stdout, "{bound}").and_then(|()| stdout.flush());
        loop {
            let peer = router.recv_msg(0)?;
            while router.get_rcvmore()? {
                router.recv_msg(0)?;
            }
            router.send(peer, zmq::SNDMORE)?;
            router.send(reply, 0)?;
        }
    };
    let ended: zmq::Result<()> = serve();
    eprintln!("zcmd-bench: the echo ended: {ended:?}");
    ExitCode::FAILURE
}

fn read(path: PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(&path).map_err(failed(&path.display().to_string()))
}

/// An error of this host.
pub(crate) fn failed<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Failure {
    let what = what.to_owned();
    move |error| Failure::refused(format!("{what}: {error}"))
}
