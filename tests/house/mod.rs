//! A fixture for tests: a daemon with real sockets, a key, tokens and commands, in a temporary
//! directory that is removed at the end.

// Each test program uses only a part of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod raw;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The timeout of every condition and reply.
pub const PATIENCE: Duration = Duration::from_secs(120);

static HOUSES: AtomicU32 = AtomicU32::new(0);

pub struct House {
    pub folder: PathBuf,
    pub tcp: String,
    pub ipc: String,
    /// The command that starts the daemon.
    command: Command,
    pub daemon: Child,
    /// Whether its clients use the CURVE key in the file `client`.
    pub curve: bool,
    pub context: zmq::Context,
}

/// Polls a condition until it holds; fails after `PATIENCE`.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reports that a test is skipped, and why, even if output is captured; fails if the variable `CI`
/// is set.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped where CI is set: {why}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Whether this process is root; reports a skipped test if not.
pub fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(&format!("{what} needs root"));
    }
    is_root
}

/// A file of the published test vectors, or `None` if it is missing. `ZCMD_VECTORS` names their
/// directory, by default `../shared/vectors`.
pub fn vectors(name: &str) -> Option<String> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let path = std::env::var_os("ZCMD_VECTORS").map_or(default, PathBuf::from).join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            skip(&format!("{}: {error}; set ZCMD_VECTORS", path.display()));
            None
        }
    }
}

/// An entry of a commands file that runs a shell script.
pub fn sh(script: &str) -> Value {
    json!({"run": ["/bin/sh", "-c", script]})
}

pub fn folder() -> PathBuf {
    let number = HOUSES.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("zcmd-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn write_secret(path: &PathBuf, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// `zcmdd` with only these variables in its environment.
pub fn zcmdd(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zcmdd"));
    command.env_clear().envs(variables.iter().copied());
    command
}

/// The address of a daemon on a free port, from the first line of its log.
fn bound(log: &PathBuf) -> String {
    let line = until("a daemon that listens", || {
        let text = fs::read_to_string(log).unwrap_or_default();
        text.split_once('\n').map(|(line, _)| line.to_owned())
    });
    let started: Value = serde_json::from_str(&line).unwrap();
    let endpoint = started["endpoints"][0].as_str().unwrap_or_else(|| panic!("{line}"));
    format!("tcp://127.0.0.1:{}", endpoint.rsplit(':').next().unwrap())
}

impl House {
    pub fn new(commands: Value) -> Self {
        Self::with(commands, &[])
    }

    pub fn with(commands: Value, variables: &[(&str, &str)]) -> Self {
        Self::build(zcmdd(&[]), commands, variables, false)
    }

    /// A daemon with CURVE: its key is in `server`, the key of its one client in `client`.
    pub fn with_curve(commands: Value, variables: &[(&str, &str)]) -> Self {
        Self::build(zcmdd(&[]), commands, variables, true)
    }

    /// A daemon that is started by a shell script, with `exec "$@"`.
    pub fn begun_by(script: &str, commands: Value) -> Self {
        let mut command = Command::new("/bin/sh");
        command.env_clear().args(["-c", script, "sh", env!("CARGO_BIN_EXE_zcmdd")]);
        Self::build(command, commands, &[], false)
    }

    fn build(
        mut daemon: Command,
        commands: Value,
        variables: &[(&str, &str)],
        curve: bool,
    ) -> Self {
        let folder = folder();
        write_secret(&folder.join("key"), "k1:0123456789abcdefghijklmnopqrstuvwxyz\n");
        fs::write(folder.join("commands.json"), commands.to_string()).unwrap();
        let ipc = format!("ipc://{}/s", folder.display());
        let path = |name: &str| folder.join(name).display().to_string();
        if curve {
            make_keys(&path("server"));
            let client = make_keys(&path("client"));
            fs::write(folder.join("clients"), format!("{client} desk\n")).unwrap();
            daemon.env("CURVE_SECRET_KEY_FILE", path("server"));
            daemon.env("CURVE_CLIENTS_FILE", path("clients"));
        }
        daemon.envs([
            ("SERVER_ADDRESS", format!("tcp://127.0.0.1:*,{ipc}")),
            ("JWT_SECRET_KEY_FILE", path("key")),
            ("COMMANDS_FILE", path("commands.json")),
            ("LOG_FILE", path("log")),
            ("MAX_REQUESTS_PER_MINUTE", "0".to_owned()),
            ("SECRET_OF_THE_DAEMON", "Xyzzy".to_owned()),
            ("FOLDER", folder.display().to_string()),
        ]);
        let mut command = daemon;
        let daemon = command.envs(variables.iter().copied()).stdin(Stdio::null()).spawn().unwrap();
        let tcp = bound(&folder.join("log"));
        let context = zmq::Context::new();
        let house = Self { folder, tcp, ipc, command, daemon, curve, context };
        write_secret(&house.folder.join("token"), &house.token("compute os:* status"));
        assert_eq!(house.ask(json!({"command_type": "ping"}))["status"], "ok");
        house
    }

    /// Restarts the daemon after it has ended.
    pub fn start_again(&mut self) {
        fs::rename(self.folder.join("log"), self.folder.join("log.before")).unwrap();
        self.daemon = self.command.spawn().unwrap();
        self.tcp = bound(&self.folder.join("log"));
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.daemon.id()).unwrap()
    }

    /// A token of this scope, made by `zcmdd token`.
    pub fn token(&self, scope: &str) -> String {
        // By `JWT_SECRET_KEY`: the daemon may run as another user, who owns the file.
        let key = fs::read_to_string(self.path("key")).unwrap();
        let (_, secret) = key.lines().next().unwrap().split_once(':').unwrap();
        let output = zcmdd(&[("JWT_SECRET_KEY", secret)])
            .args(["token", "--sub", "test", "--scope", scope])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn socket(&self, kind: zmq::SocketType, endpoint: &str) -> zmq::Socket {
        let socket = self.context.socket(kind).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(i32::try_from(PATIENCE.as_millis()).unwrap()).unwrap();
        if self.curve {
            self.show_key(&socket, "client");
        }
        socket.connect(endpoint).unwrap();
        socket
    }

    /// Sets a socket up for CURVE with the key in this file.
    pub fn show_key(&self, socket: &zmq::Socket, name: &str) {
        let read = |name: &str| {
            let text = fs::read_to_string(self.path(name)).unwrap();
            text.lines().map(|line| zmq::z85_decode(line).unwrap()).collect::<Vec<_>>()
        };
        let own = read(name);
        socket.set_curve_serverkey(&read("server.pub")[0]).unwrap();
        socket.set_curve_secretkey(&own[0]).unwrap();
        socket.set_curve_publickey(&own[1]).unwrap();
    }

    pub fn dealer(&self) -> zmq::Socket {
        self.socket(zmq::DEALER, &self.tcp)
    }

    /// The body of a request with a token whose scope includes all.
    pub fn body(&self, mut request: Value) -> Vec<u8> {
        let token = fs::read_to_string(self.folder.join("token")).unwrap();
        request.as_object_mut().unwrap().entry("token").or_insert(token.trim_end().into());
        request.to_string().into_bytes()
    }

    pub fn send(&self, socket: &zmq::Socket, request: Value) {
        socket.send(self.body(request), 0).unwrap();
    }

    /// Sends one request over a new connection, and returns the last reply.
    pub fn ask(&self, request: Value) -> Value {
        let socket = self.dealer();
        self.send(&socket, request);
        receive(&socket)
    }

    pub fn os(&self, name: &str, parameters: &[&str]) -> Value {
        self.ask(json!({"command_type": "os", "command_name": name, "parameters": parameters}))
    }

    /// Runs `zcmd` with these arguments.
    pub fn zcmd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zcmd"));
        command
            .env_clear()
            .env("ZCMD_SERVER", &self.tcp)
            .env("ZCMD_TOKEN_FILE", self.path("token"))
            .envs(self.curve.then(|| {
                let key = fs::read_to_string(self.path("server.pub")).unwrap();
                ("ZCMD_SERVER_KEY", key.trim_end().to_owned())
            }))
            .envs(self.curve.then(|| ("ZCMD_KEY_FILE", self.path("client"))))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.zcmd(arguments).output().unwrap()
    }

    pub fn signal(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    /// Waits until the daemon ends.
    pub fn wait(&mut self) -> ExitStatus {
        until("the end of the daemon", || self.daemon.try_wait().unwrap())
    }

    pub fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.folder.join("log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// The log lines of one event.
    pub fn logged(&self, event: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        lines.filter(|line| line["event"] == event).collect()
    }

    /// A number from /proc/PID/status, such as VmRSS in KiB.
    pub fn proc_status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// Writes a CURVE key pair with `zcmdd keygen`; returns the public key.
pub fn make_keys(path: &str) -> String {
    let output = zcmdd(&[]).args(["keygen", "--curve", path]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let end = self.daemon.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let from = log.char_indices().rev().nth(8192).map_or(0, |(index, _)| index);
            eprintln!("the daemon's end: {end:?}; the last of its log:\n{}", &log[from..]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sends a signal with kill(1).
pub fn kill(pid: i32, signal: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The next message of a socket; its last frame is a reply.
pub fn receive(socket: &zmq::Socket) -> Value {
    let frames = socket.recv_multipart(0).expect("an answer in time");
    serde_json::from_slice(frames.last().unwrap()).unwrap()
}

pub fn code(reply: &Value) -> &str {
    reply["error"]["code"].as_str().unwrap_or_else(|| panic!("no error: {reply}"))
}
