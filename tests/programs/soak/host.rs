//! The attacked daemon: its directory, its process, and its resources.
//!
//! Promises: dropping a `Host` removes all that it started and made.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zcmd::protocol::token::{Claims, Keys};

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// The limit on descriptors of the daemon: low enough to be reached.
pub const DESCRIPTORS_MAX: u64 = 1024;
const MIB: f64 = 1024.0;

pub struct Host {
    pub folder: PathBuf,
    pub endpoint: String,
    pub address: std::net::SocketAddr,
    pub context: zmq::Context,
    /// Whether the log is on a small disk of its own.
    pub small_disk: bool,
    /// A word in the arguments of this daemon's commands, and of no other process.
    pub mark: String,
    daemon: Mutex<Child>,
    pid: u32,
    watch: Arc<Watch>,
    watcher: Option<JoinHandle<()>>,
    start: Option<(u64, u64)>,
}

#[derive(Default)]
struct Watch {
    ended: AtomicBool,
    /// KiB, and their peak since the last call.
    memory: AtomicU64,
    memory_peak: AtomicU64,
    descriptors_peak: AtomicU64,
}

impl Host {
    pub fn start() -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("zcmd-soak-{}", std::process::id()));
        fs::create_dir_all(folder.join("log"))?;
        let small_disk = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "zcmd-soak"])
            .arg(folder.join("log"))
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        let mark = format!("86399.{}", std::process::id());
        fs::write(folder.join("commands.json"), commands(&mark))?;
        fs::write(folder.join("key"), KEY)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(folder.join("key"), mode)?;
        // Enough for the attackers; the shell lowers the limit for the daemon.
        let files = rustix::process::Resource::Nofile;
        let mut limit = rustix::process::getrlimit(files);
        limit.current = limit.maximum;
        rustix::process::setrlimit(files, limit)?;
        let programs = std::env::current_exe()?;
        let programs = programs.ancestors().nth(2).ok_or("no folder of programs")?;
        let daemon = Command::new("/bin/sh")
            .args(["-c", &format!("ulimit -n {DESCRIPTORS_MAX}; exec \"$0\"")])
            .arg(programs.join("zcmdd"))
            .env_clear()
            .env("JWT_SECRET_KEY_FILE", folder.join("key"))
            .env("COMMANDS_FILE", folder.join("commands.json"))
            .env("SERVER_ADDRESS", "tcp://127.0.0.1:*")
            .env("MAX_REQUESTS_PER_MINUTE", "0")
            .env("LOG_FILE", folder.join("log/log"))
            .env("LOG_MAX_BYTES", "262144")
            .env("LOG_KEEP", "2")
            .stdin(Stdio::null())
            .spawn()?;
        let (pid, watch) = (daemon.id(), Arc::new(Watch::default()));
        let mut host = Self {
            endpoint: String::new(),
            address: ([127, 0, 0, 1], 0).into(),
            context: zmq::Context::new(),
            small_disk,
            mark,
            daemon: Mutex::new(daemon),
            pid,
            watch: Arc::clone(&watch),
            watcher: None,
            start: None,
            folder,
        };
        let port = host.port()?;
        host.address.set_port(port);
        host.endpoint = format!("tcp://127.0.0.1:{port}");
        host.watcher = Some(std::thread::spawn(move || observe(pid, &watch)));
        Ok(host)
    }

    /// The port of the daemon, from the first line of its log.
    fn port(&self) -> Result<u16, String> {
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            let log = fs::read_to_string(self.folder.join("log/log")).unwrap_or_default();
            let port = log.split_once("127.0.0.1:").map(|(_, rest)| rest);
            if let Some(port) = port.and_then(|rest| rest.split('"').next()?.parse().ok()) {
                return Ok(port);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("the daemon does not start".to_owned())
    }

    pub fn token(&self, subject: &str) -> String {
        let claims = Claims {
            subject: subject.to_owned(),
            scope: Some("compute os:* status".to_owned()),
            expires: 253_402_300_799.0,
            ..Claims::default()
        };
        Keys::parse(KEY).expect("a key").sign(&claims)
    }

    /// A `DEALER` with a new connection, which holds up to this many unread replies.
    pub fn dealer(&self, held: i32) -> Result<zmq::Socket, String> {
        let connect = || {
            let socket = self.context.socket(zmq::DEALER)?;
            socket.set_linger(0)?;
            socket.set_rcvhwm(held)?;
            socket.connect(&self.endpoint)?;
            Ok(socket)
        };
        connect().map_err(|error: zmq::Error| error.to_string())
    }

    pub fn hang_up(&self) -> Result<(), String> {
        self.signal(rustix::process::Signal::HUP)
    }

    fn signal(&self, signal: rustix::process::Signal) -> Result<(), String> {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or("no process")?;
        rustix::process::kill_process(pid, signal).map_err(|error| error.to_string())
    }

    /// Sets the baseline of the resources.
    pub fn begin(&mut self) {
        self.start = Some((memory(self.pid), steady_descriptors(self.pid)));
    }

    pub fn start_mib(&self) -> f64 {
        self.start.map_or(0.0, |(memory, _)| memory as f64 / MIB)
    }

    /// MiB held now, above the baseline.
    pub fn held_mib(&self) -> f64 {
        self.watch.memory.load(Ordering::Relaxed) as f64 / MIB - self.start_mib()
    }

    /// Descriptors at the baseline, and now.
    pub fn descriptors(&self) -> (u64, u64) {
        (self.start.map_or(0, |(_, descriptors)| descriptors), steady_descriptors(self.pid))
    }

    /// The peaks of MiB and descriptors since the last call.
    pub fn peaks(&self) -> (f64, u64) {
        let memory = self.watch.memory_peak.swap(0, Ordering::Relaxed);
        let descriptors = self.watch.descriptors_peak.swap(0, Ordering::Relaxed);
        (memory as f64 / MIB, descriptors)
    }

    /// Waits until the effects of a phase are gone.
    pub fn settle(&self, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        loop {
            let ((start, now), left) = (self.descriptors(), self.processes());
            if now <= start && left == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                let seconds = patience.as_secs();
                return Err(format!(
                    "{now} descriptors, {start} at the start, and {left} processes of commands are \
                     left after {seconds} s"
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The running processes of commands.
    pub fn processes(&self) -> usize {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let mark = self.mark.as_bytes();
        lines.filter(|line| line.windows(mark.len()).any(|window| window == mark)).count()
    }

    /// Ends the daemon with SIGTERM, and returns what is wrong with its end.
    pub fn end(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (start, now) = self.descriptors();
        if now > start {
            faults.push(format!("{now} descriptors at the end, {start} at the start"));
        }
        let mut daemon = self.daemon.lock().expect("a daemon");
        match daemon.try_wait() {
            Ok(None) => {}
            other => return vec![format!("the daemon has ended by itself: {other:?}")],
        }
        faults.extend(self.signal(rustix::process::Signal::TERM).err());
        let until = Instant::now() + 2 * crate::SETTLE;
        while Instant::now() < until {
            match daemon.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Ok(Some(status)) if status.success() => return faults,
                other => {
                    faults.push(format!("the daemon's end: {other:?}"));
                    return faults;
                }
            }
        }
        faults.push("the daemon does not end at SIGTERM".to_owned());
        faults
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.watch.ended.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
        if let Ok(daemon) = self.daemon.get_mut() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if self.small_disk {
            let _ = Command::new("umount").arg(self.folder.join("log")).status();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn observe(pid: u32, watch: &Watch) {
    while !watch.ended.load(Ordering::Relaxed) {
        let memory = memory(pid);
        watch.memory.store(memory, Ordering::Relaxed);
        watch.memory_peak.fetch_max(memory, Ordering::Relaxed);
        watch.descriptors_peak.fetch_max(descriptors(pid), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Memory of a process in KiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64)
}

/// Descriptors, except those of the good client's commands, which vary.
fn steady_descriptors(pid: u32) -> u64 {
    let looks = (0..20).map(|_| {
        std::thread::sleep(Duration::from_millis(3));
        descriptors(pid)
    });
    looks.min().unwrap_or(0)
}

/// The commands file. A command that waits does so in a process with the mark.
fn commands(mark: &str) -> String {
    let sh = |script: &str| serde_json::json!({"run": ["/bin/sh", "-c", script]});
    let limited = |script: &str| {
        let run = ["/bin/sh", "-c", script];
        serde_json::json!({"run": run, "timeout_seconds": 1, "grace_seconds": 1})
    };
    serde_json::json!({
        "true": {"run": ["/bin/true"]},
        "say": {
            "run": ["/bin/echo", "--", "{text}"],
            "parameters": [{"name": "text", "type": "text", "max_bytes": 64}],
        },
        "count": {"run": ["/usr/bin/wc", "-c"]},
        "zeros": sh("head -c 1000000 /dev/zero"),
        "stream": limited("while :; do echo 0123456789012345678901234567890123456789; done"),
        "slow": limited(&format!("sleep {mark}")),
        "forks": limited(&format!(
            "for i in 1 2 3 4 5 6 7 8; do (sleep {mark}; :) & done; sleep {mark}"
        )),
        "stubborn": limited(&format!("trap '' TERM; while :; do sleep {mark}; done")),
        "session": limited(&format!("setsid sleep {mark} & setsid sleep {mark}")),
        "leaves": limited(&format!("setsid -f sleep {mark} >/dev/null 2>&1 </dev/null")),
    })
    .to_string()
}
