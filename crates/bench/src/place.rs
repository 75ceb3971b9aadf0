//! A temporary directory with a key, commands and a token, and the daemons that use them.
//!
//! Promises: others cannot read the directory, and it is removed on drop. Keys and tokens are made
//! by the project's programs, as an owner makes them.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use zcmd::client::settings::{Curve, Servers};
use zcmd::client::status::Failure;
use zcmd::protocol::curve::CurveKey;

use crate::server::{CONNECTIONS_MAX, LOOK, Server, failed};

const COMMANDS: &str =
    r#"{"true": {"run": ["/bin/true"]}, "sleep": {"run": ["/bin/sleep", "3600"]}}"#;
/// The time for a daemon to start listening.
const START: Duration = Duration::from_secs(10);

/// The directory.
pub(crate) struct Place {
    folder: PathBuf,
    programs: PathBuf,
    secret: String,
    /// A token whose scope includes all that is measured.
    pub(crate) token: String,
    daemons: Cell<u32>,
}

impl Place {
    pub(crate) fn make() -> Result<Self, Failure> {
        let own = std::env::current_exe().map_err(failed("cannot find this program"))?;
        let programs = own.parent().map(PathBuf::from).unwrap_or_default();
        let folder = std::env::temp_dir().join(format!("zcmd-bench-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed("no directory"))?;
        let (secret, token, daemons) = (String::new(), String::new(), Cell::new(0));
        let mut place = Self { folder, programs, secret, token, daemons };
        fs::write(place.path("commands.json"), COMMANDS).map_err(failed("no commands"))?;
        place.secret = place.said(place.program("zcmdd").arg("keygen"))?;
        let token = ["token", "--sub", "bench", "--scope", "compute os:* status"];
        place.token = place.said(place.daemon_command().args(token))?;
        Ok(place)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A program in the directory of this one.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().stdin(Stdio::null());
        command
    }

    /// The output of a program, which is one line.
    fn said(&self, command: &mut Command) -> Result<String, Failure> {
        let program = command.get_program().display().to_string();
        let Output { status, stdout, stderr } = command.output().map_err(failed(&program))?;
        match status.success() {
            true => Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned()),
            false => Err(Failure::refused(String::from_utf8_lossy(&stderr).trim_end())),
        }
    }

    fn daemon_command(&self) -> Command {
        let mut command = self.program("zcmdd");
        command.envs([
            ("JWT_SECRET_KEY", self.secret.as_str()),
            ("COMMANDS_FILE", &self.path("commands.json")),
            ("SERVER_ADDRESS", "tcp://127.0.0.1:*"),
            ("MAX_REQUESTS_PER_MINUTE", "0"),
            ("MAX_CONCURRENT_COMMANDS", "64"),
            ("MAX_COMMANDS_PER_SUBJECT", "64"),
            ("COMMAND_TIMEOUT_SECONDS", "3600"),
            ("CONNECTIONS_MAX", &CONNECTIONS_MAX.to_string()),
            ("SHUTDOWN_GRACE_SECONDS", "0"),
        ]);
        command
    }

    /// A daemon that listens.
    pub(crate) fn daemon(&self) -> Result<Server, Failure> {
        self.start(&mut self.daemon_command(), None)
    }

    /// A daemon that listens with CURVE; the keys of its client are in `own`.
    pub(crate) fn curve_daemon(&self) -> Result<Server, Failure> {
        let public =
            self.said(self.program("zcmdd").args(["keygen", "--curve", &self.path("server")]))?;
        let client = self.said(self.program("zcmd").args(["keygen", &self.path("own")]))?;
        fs::write(self.path("clients"), format!("{client} bench\n")).map_err(failed("clients"))?;
        let own = fs::read_to_string(self.path("own")).map_err(failed("own"))?;
        let wrong = failed("a key");
        let parse = || Ok((CurveKey::parse(&public)?, CurveKey::parse_lines(&own)?));
        let (server, own) = parse().map_err(|why: String| wrong(why))?;
        let mut command = self.daemon_command();
        command.env("CURVE_SECRET_KEY_FILE", self.path("server"));
        command.env("CURVE_CLIENTS_FILE", self.path("clients"));
        self.start(&mut command, Some(Curve { server, own }))
    }

    fn start(&self, command: &mut Command, curve: Option<Curve>) -> Result<Server, Failure> {
        self.daemons.set(self.daemons.get() + 1);
        let log = self.path(&format!("log-{}", self.daemons.get()));
        command.env("LOG_FILE", &log);
        let begin = Instant::now();
        let child = command.spawn().map_err(failed("no zcmdd beside this program"))?;
        let servers = Servers { addresses: Vec::new(), curve };
        let mut server = Server { child, servers, start: Duration::ZERO };
        // The first line of its log has the address; the daemon writes it when it listens.
        while begin.elapsed() < START {
            let text = fs::read_to_string(&log).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                server.start = begin.elapsed();
                let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                let endpoint = line.pointer("/endpoints/0").and_then(|value| value.as_str());
                let port = endpoint.and_then(|endpoint| endpoint.rsplit(':').next());
                let port = port.ok_or_else(|| Failure::refused("zcmdd does not listen"))?;
                // The log has the address in libzmq's format, an IPv4 address as IPv6.
                server.servers.addresses.push(format!("tcp://127.0.0.1:{port}"));
                return Ok(server);
            }
            std::thread::sleep(LOOK);
        }
        Err(Failure::refused("zcmdd does not start"))
    }

    /// The client, ready to ask this daemon.
    pub(crate) fn zcmd(&self, server: &Server, arguments: &[&str]) -> Command {
        let mut command = self.program("zcmd");
        command.args(arguments).env("ZCMD_TOKEN", &self.token).stdout(Stdio::null());
        command.env("ZCMD_SERVER", server.servers.addresses.join(","));
        if let Some(curve) = &server.servers.curve {
            let key = zmq::z85_encode(&curve.server.0).unwrap_or_default();
            command.env("ZCMD_SERVER_KEY", key).env("ZCMD_KEY_FILE", self.path("own"));
        }
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
