//! The configuration of the daemon: environment variables, read once.
//!
//! Promises: every value has a range, every error names the variable, the value and what is
//! allowed, and all errors are told at once. An empty variable is an absent one. Nothing secret
//! is ever shown.
//! Leaves out: the files that the variables name, which `service::policy` reads.

use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use crate::limits;
use crate::port::Level;
use crate::protocol::endpoint::leaves_host;

/// All that the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen: `tcp://…` and `ipc://…`.
    pub endpoints: Vec<String>,
    /// The file with the CURVE key of the daemon, and the one with those of its clients; none, or
    /// both.
    pub curve_secret_file: Option<String>,
    /// See `curve_secret_file`.
    pub curve_clients_file: Option<String>,
    /// Whether tokens cross a network that others may read, because the owner said so.
    pub cleartext: bool,
    /// Connections at the same time.
    pub connections_max: usize,
    /// Whether a libzmq without zcmd's corrections will do, because the owner said so.
    pub system_libzmq: bool,
    /// The mode of an `ipc` socket's file.
    pub ipc_mode: u32,
    /// The group of an `ipc` socket's file; the daemon's own when absent.
    pub ipc_group: Option<String>,
    /// Where the keys are.
    pub keys: KeySource,
    /// What is asked of a token beyond its signature.
    pub tokens: TokenRules,
    /// The file with the names of revoked tokens.
    pub revoked_file: Option<String>,
    /// The file with what roles stand for; without it there are none.
    pub roles_file: Option<String>,
    /// How long the tokens hold that `zcmdd token` makes.
    pub token_lifetime: Duration,
    /// Requests of one subject.
    pub rate: Rate,
    /// The file with the commands; without it there are none.
    pub commands_file: Option<String>,
    /// Limits on commands.
    pub commands: CommandLimits,
    /// How long running commands may go on when the daemon was asked to stop.
    pub shutdown_grace: Duration,
    /// Where and what to log.
    pub log: LogSettings,
    /// The settings as they are in effect, for people: names and values, no secrets.
    pub shown: Vec<(&'static str, String)>,
}

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Takes a minute; 0 means without limit.
    pub per_minute: u32,
    /// Takes at once, from a full bucket; at least 1.
    pub burst: u32,
}

/// What the owner asks of a token beyond its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The issuer that it must name.
    pub issuer: Option<String>,
    /// The audience that it must name.
    pub audience: Option<String>,
    /// By how much the clocks may differ.
    pub leeway: Duration,
    /// The scope of tokens that name none.
    pub default_scope: Rc<str>,
}

/// Where the keys are.
#[derive(Clone)]
pub enum KeySource {
    /// In the environment.
    Secret(String),
    /// In a file.
    File(String),
}

/// Limits on commands, and what holds for those that set none of their own.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    /// Commands that run at the same time.
    pub concurrent_max: usize,
    /// Commands that wait.
    pub queued_max: usize,
    /// Commands of one subject that run at the same time.
    pub per_subject_max: usize,
    /// How long a command may run.
    pub timeout: Duration,
    /// Bytes that are kept of each stream.
    pub output_bytes_max: usize,
}

/// Where and what to log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The file; standard error when absent.
    pub file: Option<String>,
    /// The last level that is written.
    pub level: Level,
    /// Lines for people, rather than JSON.
    pub text: bool,
    /// Bytes at which the file is rotated.
    pub bytes_max: u64,
    /// Rotated files that are kept.
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

    /// Reads the variables that `lookup` finds, and tells all that is wrong with them. A wrong one
    /// has its default, so that what else is wrong, in the files, can be told at the same time.
    pub fn read_with_faults(lookup: &dyn Fn(&str) -> Option<OsString>) -> (Self, Vec<String>) {
        let mut read = Reader { lookup, faults: Vec::new(), shown: Vec::new() };
        let per_minute = read.number("MAX_REQUESTS_PER_MINUTE", 60, 0..=1_000_000);
        let burst = read.number("RATE_BURST", per_minute.max(1), 1..=1_000_000);
        let concurrent = 1..=limits::CONCURRENT_COMMANDS_MAX as u64;
        let timeouts = 1..=limits::COMMAND_SECONDS_MAX;
        let outputs = 1..=limits::OUTPUT_BYTES_MAX as u64;
        let endpoints = read.endpoints();
        let (curve_secret_file, curve_clients_file) = read.curve();
        let settings = Self {
            cleartext: read.cleartext(&endpoints, curve_secret_file.is_some()),
            curve_secret_file,
            curve_clients_file,
            endpoints,
            connections_max: size(read.number(
                "CONNECTIONS_MAX",
                limits::CONNECTIONS_DEFAULT,
                1..=limits::CONNECTIONS_MAX,
            )),
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
            rate: Rate { per_minute: narrow(per_minute), burst: narrow(burst) },
            commands_file: read.text("COMMANDS_FILE"),
            commands: CommandLimits {
                concurrent_max: size(read.number("MAX_CONCURRENT_COMMANDS", 8, concurrent.clone())),
                queued_max: size(read.number(
                    "MAX_QUEUED_COMMANDS",
                    64,
                    0..=limits::QUEUED_COMMANDS_MAX as u64,
                )),
                per_subject_max: size(read.number("MAX_COMMANDS_PER_SUBJECT", 4, concurrent)),
                timeout: read.seconds("COMMAND_TIMEOUT_SECONDS", 30, timeouts),
                output_bytes_max: size(read.number("COMMAND_OUTPUT_BYTES_MAX", 1_048_576, outputs)),
            },
            shutdown_grace: read.seconds(
                "SHUTDOWN_GRACE_SECONDS",
                10,
                0..=limits::GRACE_SECONDS_MAX,
            ),
            log: LogSettings {
                file: read.text("LOG_FILE"),
                level: read.level(),
                text: read.choice("LOG_FORMAT", &["json", "text"]) == "text",
                bytes_max: read.number("LOG_MAX_BYTES", 10_485_760, 65_536..=1 << 40),
                keep: read.number("LOG_KEEP", 5, 0..=100),
            },
            shown: Vec::new(),
        };
        read.choice("JWT_ALGORITHM", &["HS256"]);
        (Self { shown: read.shown, ..settings }, read.faults)
    }
}

/// Reads variables and remembers what was wrong with them.
struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    faults: Vec<String>,
    shown: Vec<(&'static str, String)>,
}

impl Reader<'_> {
    fn get(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty())?;
        value.into_string().map_err(|_| self.faults.push(format!("{name} is not UTF-8 text"))).ok()
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.get(name);
        self.shown.push((name, value.clone().unwrap_or_default()));
        value
    }

    fn number(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let (min, max) = (range.start(), range.end());
        let number = match self.get(name) {
            None => default,
            // Digits only: `parse` alone would take a sign.
            Some(text) => match text.parse() {
                Ok(number) if range.contains(&number) && !text.starts_with('+') => number,
                _ => {
                    self.faults.push(format!("{name}={text}: must be an integer, {min} to {max}"));
                    default
                }
            },
        };
        self.shown.push((name, number.to_string()));
        number
    }

    fn seconds(
        &mut self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(name, default, range))
    }

    /// One of some words, the first of which is the default.
    fn choice(&mut self, name: &'static str, of: &[&'static str]) -> &'static str {
        let default = of.first().copied().unwrap_or_default();
        let wanted = self.get(name).unwrap_or_else(|| default.to_owned());
        let Some(found) = of.iter().find(|word| **word == wanted) else {
            self.faults.push(format!("{name}={wanted}: must be {}", of.join(" or ")));
            return default;
        };
        self.shown.push((name, (*found).to_owned()));
        found
    }

    fn level(&mut self) -> Level {
        match self.choice("LOG_LEVEL", &["info", "error", "warn", "debug"]) {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "debug" => Level::Debug,
            _ => Level::Info,
        }
    }

    fn endpoints(&mut self) -> Vec<String> {
        let name = "SERVER_ADDRESS";
        let text = self.get(name).unwrap_or_else(|| "tcp://127.0.0.1:5555".to_owned());
        let endpoints: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
        for endpoint in &endpoints {
            let file = endpoint.strip_prefix("ipc://");
            let place = endpoint.strip_prefix("tcp://").or(file);
            // libzmq would take the digits before any other text, and reduce them to 16 bits.
            let has_port = endpoint.strip_prefix("tcp://").is_none_or(|place| {
                place.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port))
            });
            // libzmq's ws:// would let any web page in; inproc:// reaches nobody. An abstract
            // socket has no file whose mode would say who may reach it.
            let is_absolute = file.is_none_or(|file| file.starts_with('/'));
            if place.is_none_or(str::is_empty) || !is_absolute || !has_port {
                self.faults.push(format!(
                    "{name}={endpoint}: must be tcp://ADDRESS:PORT or ipc:///PATH, PORT being 1 to \
                     65535 or *; several are separated by commas"
                ));
            }
        }
        if endpoints.len() > limits::ENDPOINTS_MAX {
            self.faults.push(format!("{name}: at most {} endpoints", limits::ENDPOINTS_MAX));
        }
        self.shown.push((name, text));
        endpoints
    }

    fn curve(&mut self) -> (Option<String>, Option<String>) {
        let (secret, clients) = ("CURVE_SECRET_KEY_FILE", "CURVE_CLIENTS_FILE");
        let files = (self.text(secret), self.text(clients));
        if files.0.is_some() != files.1.is_some() {
            self.faults.push(format!(
                "{secret} and {clients} go together: zcmdd keygen --curve FILE makes the one, and \
                 the other lists the keys that are let in, as KEY NAME [SUBJECT...]"
            ));
        }
        files
    }

    /// Whether tokens may be read on their way, which the owner has to want.
    fn cleartext(&mut self, endpoints: &[String], curve: bool) -> bool {
        let wanted = self.choice("ALLOW_CLEARTEXT", &["no", "yes"]) == "yes";
        let open: Vec<_> = endpoints.iter().filter(|place| !curve && leaves_host(place)).collect();
        if !wanted {
            self.faults.extend(open.iter().map(|endpoint| {
                format!(
                    "SERVER_ADDRESS={endpoint}: tokens would cross the network in the clear; set \
                     CURVE_SECRET_KEY_FILE and CURVE_CLIENTS_FILE (zcmdd keygen --curve), listen \
                     on tcp://127.0.0.1:PORT or ipc:///PATH, or say ALLOW_CLEARTEXT=yes"
                )
            }));
        }
        !open.is_empty()
    }

    /// The permissions of a file, in octal as chmod(1) takes them.
    fn mode(&mut self, name: &'static str, default: u32) -> u32 {
        let mode = self.get(name).map_or(Some(default), |text| {
            u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777)
        });
        if mode.is_none() {
            self.faults.push(format!("{name}: must be permissions in octal, such as 0660"));
        }
        self.shown.push((name, format!("{:04o}", mode.unwrap_or(default))));
        mode.unwrap_or(default)
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

/// Whether a text is a port, or `*`, which is any that is free.
fn is_port(text: &str) -> bool {
    text == "*" || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
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
    fn old_wound_a_port_that_is_none_was_taken_for_another() {
        let read = |port: &str| {
            let endpoint = format!("tcp://127.0.0.1{port}");
            read(&[("JWT_SECRET_KEY", "x"), ("SERVER_ADDRESS", &endpoint)])
        };
        for good in [":1", ":5555", ":65535", ":*", ":0"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["", ":", ":80x", ":99999", ":65536", ":+80", ":-1", ": 80", ":80 1", ":**"] {
            let faults = read(bad).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains("PORT"), "{bad} {faults:?}");
        }
    }

    #[test]
    fn a_network_without_curve_is_an_error_unless_the_owner_says_so() {
        let read = |endpoint, more: &[(&str, &str)]| {
            let base = [("JWT_SECRET_KEY", "x"), ("SERVER_ADDRESS", endpoint)];
            read(&[&base[..], more].concat()).map(|settings| settings.cleartext)
        };
        let curve = [("CURVE_SECRET_KEY_FILE", "a"), ("CURVE_CLIENTS_FILE", "b")];
        let here = ["tcp://127.0.0.1:1", "tcp://127.1.2.3:1", "tcp://[::1]:1", "ipc:///s"];
        let open = [
            "tcp://*:1",
            "tcp://0.0.0.0:1",
            "tcp://[::]:1",
            "tcp://10.0.0.1:1",
            "tcp://eth0:1",
            "tcp://127.0.0.1.example.org:1",
            "tcp://[::ffff:10.0.0.1]:1",
            "tcp://127.0.0.1:1,tcp://*:2",
        ];
        for endpoint in here {
            assert_eq!(read(endpoint, &[]), Ok(false), "{endpoint}");
            assert_eq!(read(endpoint, &[("ALLOW_CLEARTEXT", "yes")]), Ok(false), "{endpoint}");
        }
        for endpoint in open {
            let faults = read(endpoint, &[]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains("ALLOW_CLEARTEXT"), "{faults:?}");
            assert_eq!(read(endpoint, &curve), Ok(false), "{endpoint}");
            assert_eq!(read(endpoint, &[("ALLOW_CLEARTEXT", "yes")]), Ok(true), "{endpoint}");
        }
        for half in curve {
            assert!(read("ipc:///s", &[half]).unwrap_err()[0].contains("go together"));
        }
        assert!(read("ipc://@abstract", &[]).is_err());
        assert!(read("ipc:///s", &[("IPC_MODE", "0o77")]).is_err());
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
    fn zero_requests_a_minute_is_no_limit_and_still_a_lawful_burst() {
        let settings = read(&[("JWT_SECRET_KEY", "x"), ("MAX_REQUESTS_PER_MINUTE", "0")]).unwrap();
        assert_eq!(settings.rate, Rate { per_minute: 0, burst: 1 });
    }
}
