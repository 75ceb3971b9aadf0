//! The settings of the daemon: environment variables, read once.
//!
//! Promises: every value has a range; every error names the variable, the value and what is
//! allowed; all errors are reported together. An empty variable counts as absent. No secret is
//! printed.
//! Leaves out: the files that the variables name, which `service::policy` reads.

mod network;
mod reader;

use std::ffi::OsString;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use reader::Reader;

use crate::limits;
use crate::port::Level;

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The endpoints: `tcp://…` and `ipc://…`.
    pub endpoints: Vec<String>,
    /// The file with the daemon's CURVE key; it and `curve_clients_file` are both set or both
    /// absent.
    pub curve_secret_file: Option<String>,
    /// The file with the clients' CURVE keys.
    pub curve_clients_file: Option<String>,
    /// Whether the owner allows tokens to cross a network unencrypted.
    pub cleartext: bool,
    /// The greatest number of concurrent connections.
    pub connections_max: usize,
    /// Whether the owner allows a libzmq without zcmd's corrections.
    pub system_libzmq: bool,
    /// The mode of an `ipc` socket's file.
    pub ipc_mode: u32,
    /// The group of an `ipc` socket's file; the daemon's own when absent.
    pub ipc_group: Option<String>,
    /// The source of the HMAC keys.
    pub keys: KeySource,
    /// The owner's rules for claims.
    pub tokens: TokenRules,
    /// The file with the identifiers of revoked tokens.
    pub revoked_file: Option<String>,
    /// The file with the roles; when absent, there are none.
    pub roles_file: Option<String>,
    /// The lifetime of tokens that `zcmdd token` makes.
    pub token_lifetime: Duration,
    /// The request rate of one subject.
    pub rate: Rate,
    /// The file with the commands; when absent, there are none.
    pub commands_file: Option<String>,
    /// Limits on commands.
    pub commands: CommandLimits,
    /// The time that running commands get when the daemon is asked to stop.
    pub shutdown_grace: Duration,
    /// The destination, format and level of the log.
    pub log: LogSettings,
    /// The settings in effect, to be printed: names and values, no secrets.
    pub shown: Vec<(&'static str, String)>,
}

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a minute; 0 is unlimited.
    pub per_minute: u32,
    /// Requests at once; at least 1.
    pub burst: u32,
}

/// The owner's rules for claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The required issuer.
    pub issuer: Option<String>,
    /// The required audience.
    pub audience: Option<String>,
    /// The allowed difference of the clocks.
    pub leeway: Duration,
    /// The scope of tokens that have none.
    pub default_scope: Rc<str>,
}

/// The source of the HMAC keys.
#[derive(Clone)]
pub enum KeySource {
    /// The environment.
    Secret(String),
    /// A file.
    File(String),
}

/// Limits on commands, and defaults for entries that set none.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    /// Commands that run at the same time.
    pub concurrent_max: usize,
    /// Commands that wait in the queue.
    pub queued_max: usize,
    /// Commands of one subject that run at the same time.
    pub per_subject_max: usize,
    /// The default time limit of a command.
    pub timeout: Duration,
    /// The default for bytes that are kept of each output stream.
    pub output_bytes_max: usize,
}

/// The defaults of the settings.
impl Default for CommandLimits {
    fn default() -> Self {
        Self {
            concurrent_max: 8,
            queued_max: 64,
            per_subject_max: 4,
            timeout: Duration::from_secs(30),
            output_bytes_max: 1024 * 1024,
        }
    }
}

/// The destination, format and level of the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The file; standard error when absent.
    pub file: Option<String>,
    /// The least important level that is written.
    pub level: Level,
    /// Whether a command starts only if the line about it was written.
    pub required: bool,
    /// Whether lines are text for people rather than JSON.
    pub text: bool,
    /// The size in bytes at which the file is rotated.
    pub bytes_max: u64,
    /// The number of rotated files that are kept.
    pub keep: u64,
}

impl fmt::Debug for KeySource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => out.write_str("JWT_SECRET_KEY"),
            Self::File(path) => out.write_str(path),
        }
    }
}

impl Settings {
    /// Reads the variables that `lookup` finds.
    ///
    /// # Errors
    /// All that is wrong with them, one message each.
    pub fn read(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Vec<String>> {
        let (settings, faults) = Self::read_with_faults(lookup);
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// Reads the variables that `lookup` finds, and reports all errors in them. An invalid one gets
    /// its default, so that the errors of the files can be reported at the same time.
    pub fn read_with_faults(lookup: &dyn Fn(&str) -> Option<OsString>) -> (Self, Vec<String>) {
        let mut read = Reader { lookup, faults: Vec::new(), shown: Vec::new() };
        let per_minute = read.number("MAX_REQUESTS_PER_MINUTE", 60, 0..=1_000_000);
        let burst = read.number("RATE_BURST", per_minute.max(1), 1..=1_000_000);
        let endpoints = read.endpoints();
        let (curve_secret_file, curve_clients_file) = read.curve();
        let settings = Self {
            cleartext: read.cleartext(&endpoints, curve_secret_file.is_some()),
            curve_secret_file,
            curve_clients_file,
            endpoints,
            connections_max: read.number(
                "CONNECTIONS_MAX",
                limits::CONNECTIONS_DEFAULT,
                1..=limits::CONNECTIONS_MAX,
            ),
            system_libzmq: read.choice("ALLOW_SYSTEM_LIBZMQ", &["no", "yes"]) == "yes",
            ipc_mode: read.mode("IPC_MODE", 0o660),
            ipc_group: read.text("IPC_GROUP"),
            keys: read.keys(),
            tokens: TokenRules {
                issuer: read.text("JWT_ISSUER"),
                audience: read.text("JWT_AUDIENCE"),
                leeway: read.seconds("JWT_LEEWAY_SECONDS", 30, 0..=limits::LEEWAY_SECONDS_MAX),
                default_scope: read.text("DEFAULT_SCOPE").unwrap_or_default().into(),
            },
            revoked_file: read.text("REVOKED_TOKENS_FILE"),
            roles_file: read.text("ROLES_FILE"),
            token_lifetime: read.seconds(
                "JWT_EXPIRATION_MINUTES",
                30,
                1..=limits::TOKEN_MINUTES_MAX,
            ) * 60,
            rate: Rate { per_minute, burst },
            commands_file: read.text("COMMANDS_FILE"),
            commands: read.commands(),
            shutdown_grace: read.seconds(
                "SHUTDOWN_GRACE_SECONDS",
                10,
                0..=limits::GRACE_SECONDS_MAX,
            ),
            log: read.log(),
            shown: Vec::new(),
        };
        read.choice("JWT_ALGORITHM", &["HS256"]);
        (Self { shown: read.shown, ..settings }, read.faults)
    }
}

impl Reader<'_> {
    fn commands(&mut self) -> CommandLimits {
        let base = CommandLimits::default();
        let running = || 1..=limits::CONCURRENT_COMMANDS_MAX;
        let (waiting, sizes) = (0..=limits::QUEUED_COMMANDS_MAX, 1..=limits::OUTPUT_BYTES_MAX);
        let (timeout, timeouts) = (base.timeout.as_secs(), 1..=limits::COMMAND_SECONDS_MAX);
        CommandLimits {
            concurrent_max: self.number("MAX_CONCURRENT_COMMANDS", base.concurrent_max, running()),
            queued_max: self.number("MAX_QUEUED_COMMANDS", base.queued_max, waiting),
            per_subject_max: self.number(
                "MAX_COMMANDS_PER_SUBJECT",
                base.per_subject_max,
                running(),
            ),
            timeout: self.seconds("COMMAND_TIMEOUT_SECONDS", timeout, timeouts),
            output_bytes_max: self.number("COMMAND_OUTPUT_BYTES_MAX", base.output_bytes_max, sizes),
        }
    }

    fn level(&mut self) -> Level {
        match self.choice("LOG_LEVEL", &["info", "error", "warn", "debug"]) {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "debug" => Level::Debug,
            _ => Level::Info,
        }
    }

    fn log(&mut self) -> LogSettings {
        let log = LogSettings {
            file: self.text("LOG_FILE"),
            level: self.level(),
            required: self.choice("LOG_REQUIRED", &["no", "yes"]) == "yes",
            text: self.choice("LOG_FORMAT", &["json", "text"]) == "text",
            bytes_max: self.number("LOG_MAX_BYTES", 10_485_760, 65_536..=1 << 40),
            keep: self.number("LOG_KEEP", 5, 0..=100),
        };
        if log.required && log.level < Level::Info {
            let why = "LOG_REQUIRED=yes: LOG_LEVEL must be info or debug, since a command has no \
                       line at warn or error";
            self.faults.push(why.to_owned());
        }
        log
    }

    fn keys(&mut self) -> KeySource {
        let (secret, file) = (self.get("JWT_SECRET_KEY"), self.text("JWT_SECRET_KEY_FILE"));
        self.shown.push(("JWT_SECRET_KEY", if secret.is_some() { "(set)" } else { "" }.to_owned()));
        match (secret, file) {
            (None, Some(file)) => KeySource::File(file),
            (Some(secret), None) => KeySource::Secret(secret),
            (Some(_), Some(file)) => {
                let both = "JWT_SECRET_KEY and JWT_SECRET_KEY_FILE are both set: unset one of them";
                self.faults.push(both.to_owned());
                KeySource::File(file)
            }
            (None, None) => {
                self.faults.push(
                    "JWT_SECRET_KEY_FILE is not set: make a key with \
                     (umask 077; zcmdd keygen > key) and set JWT_SECRET_KEY_FILE=key"
                        .to_owned(),
                );
                KeySource::File(String::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        Settings::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let settings = read(&[("JWT_SECRET_KEY", "hush"), ("LOG_FILE", "")]).unwrap();
        assert_eq!(settings.endpoints, ["tcp://127.0.0.1:5555"]);
        assert_eq!(settings.rate, Rate { per_minute: 60, burst: 60 });
        assert_eq!(settings.token_lifetime, Duration::from_secs(1800));
        assert_eq!(settings.commands.concurrent_max, 8);
        assert_eq!(settings.log.file, None, "an empty variable is an absent one");
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn all_errors_are_told_at_once_with_variable_value_and_range() {
        let faults = read(&[
            ("SERVER_ADDRESS", "tcp://*:5555, ws://x"),
            ("JWT_ALGORITHM", "none"),
            ("MAX_REQUESTS_PER_MINUTE", "-1"),
            ("RATE_BURST", "0"),
            ("MAX_CONCURRENT_COMMANDS", "+4"),
            ("JWT_LEEWAY_SECONDS", "301"),
            ("LOG_LEVEL", "loud"),
        ])
        .unwrap_err();
        let wanted = [
            "MAX_REQUESTS_PER_MINUTE=-1: must be an integer, 0 to 1000000",
            "RATE_BURST=0: must be an integer, 1 to 1000000",
            "SERVER_ADDRESS=ws://x: must be tcp://ADDRESS:PORT or ipc:///PATH",
            "SERVER_ADDRESS=tcp://*:5555: tokens would cross the network in the clear",
            "JWT_SECRET_KEY_FILE is not set",
            "JWT_LEEWAY_SECONDS=301: must be an integer, 0 to 300",
            "MAX_CONCURRENT_COMMANDS=+4: must be an integer, 1 to 256",
            "LOG_LEVEL=loud: must be info or error or warn or debug",
            "JWT_ALGORITHM=none: must be HS256",
        ];
        assert_eq!(faults.len(), wanted.len(), "{faults:#?}");
        for (fault, wanted) in faults.iter().zip(wanted) {
            assert!(fault.starts_with(wanted), "{fault}");
        }
    }

    #[test]
    fn a_line_that_the_level_leaves_out_cannot_be_required() {
        for (level, refused) in [("error", true), ("warn", true), ("info", false), ("debug", false)]
        {
            let read =
                read(&[("JWT_SECRET_KEY", "x"), ("LOG_REQUIRED", "yes"), ("LOG_LEVEL", level)]);
            assert_eq!(read.is_err(), refused, "{level}");
        }
    }

    #[test]
    fn a_variable_that_is_not_text_is_refused_and_not_mended() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = || [vec![b'A'; 3], (0x80..0xa8).collect()].concat();
        let read = |name: &str| (name == "JWT_SECRET_KEY").then(|| OsString::from_vec(bytes()));
        let faults = Settings::read(&read).unwrap_err();
        assert_eq!(faults.first().map(String::as_str), Some("JWT_SECRET_KEY is not UTF-8 text"));
    }

    #[test]
    fn zero_requests_a_minute_is_no_limit_and_still_a_valid_burst() {
        let settings = read(&[("JWT_SECRET_KEY", "x"), ("MAX_REQUESTS_PER_MINUTE", "0")]).unwrap();
        assert_eq!(settings.rate, Rate { per_minute: 0, burst: 1 });
    }
}
