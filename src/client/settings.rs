//! What a client needs to know: which servers, which token, how long.
//!
//! Promises: every error names the option, the variable or the line of the configuration file that
//! is to blame, and `-v` tells where each setting is from. A token comes from a file that others
//! cannot read, from the environment or from standard input, and never from the argument list,
//! where every user of the host can see it.
//! Leaves out: what the servers and the token are good for.

use std::io;
use std::time::{Duration, Instant};

use crate::client::config::Env;
use crate::client::own_token;
use crate::client::sources::{Found, Sources};
use crate::client::status::Failure;
use crate::client::trace;
use crate::limits;
use crate::protocol::curve::CurveKey;
use crate::protocol::endpoint::leaves_host;
use crate::protocol::request::Id;
use crate::system::files;

/// Where a daemon listens unless it is told otherwise.
const SERVER: &str = "tcp://127.0.0.1:5555";

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// `--host`.
    pub host: Option<String>,
    /// `--server`.
    pub server: Option<String>,
    /// `--token-file`.
    pub token_file: Option<String>,
    /// `--timeout`, in seconds.
    pub timeout: Option<String>,
    /// `--id`.
    pub id: Option<String>,
    /// `--json`.
    pub json: bool,
    /// `--explain`.
    pub explain: bool,
    /// `--retry`.
    pub retry: Option<String>,
}

/// Where to look for a daemon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Servers {
    /// Addresses, in the order in which they are tried.
    pub addresses: Vec<String>,
    /// The keys to use, all with the same; without CURVE, none.
    pub curve: Option<Curve>,
}

/// The keys of a connection with CURVE (RFC 26).
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The public key of the daemon: the server must have its secret.
    pub server: CurveKey,
    /// The client's secret key, and the public one that the daemon lists.
    pub own: [CurveKey; 2],
}

/// What a run goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where to look for a daemon.
    pub servers: Servers,
    /// The token.
    pub token: String,
    /// How long the whole run may take.
    pub timeout: Duration,
    /// The id of the request, when the caller chose one.
    pub id: Option<Id>,
    /// Whether replies are printed as they came.
    pub json: bool,
    /// Whether control characters of a command's output are shown in place of sent: for a person
    /// at a terminal.
    pub visible: bool,
    /// Whether a bad expression is shown even if standard error is no terminal.
    pub explain: bool,
    /// How often to do again what was certainly not done.
    pub retry: u32,
    /// When the run has to be over, if it has begun.
    pub until: Option<Instant>,
}

impl Settings {
    /// Completes what was given with the environment and the configuration file.
    ///
    /// # Errors
    /// What is missing or wrong, and how to mend it.
    pub fn gather(given: &Given) -> Result<Self, Failure> {
        Self::complete(given, &|name| std::env::var(name).ok()).map_err(Failure::refused)
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// As `gather`.
    pub fn complete(given: &Given, env: Env<'_>) -> Result<Self, String> {
        let sources = Sources::find(given, env)?;
        let seconds = sources.get(given.timeout.as_ref(), ["--timeout", "", "timeout"]);
        Ok(Self {
            servers: servers(given, &sources)?,
            timeout: seconds.map_or(Ok(Duration::from_secs(limits::TIMEOUT_SECONDS)), timeout)?,
            id: given.id.as_deref().map(id).transpose()?,
            json: given.json,
            visible: false,
            explain: given.explain,
            retry: given.retry.as_deref().map_or(Ok(0), retry)?,
            until: None,
            token: token(given, &sources)?,
        })
    }
}

/// The token of this run alone: what can be told without a server.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn token_at_hand(given: &Given) -> Result<String, Failure> {
    let env = |name: &str| std::env::var(name).ok();
    let found = Sources::find(given, &env).and_then(|sources| token(given, &sources));
    found.map_err(Failure::refused)
}

fn servers(given: &Given, sources: &Sources<'_>) -> Result<Servers, String> {
    let list = sources.get(given.server.as_ref(), ["--server", "ZCMD_SERVER", "server"]);
    let built_in = || Found { value: SERVER.to_owned(), origin: "unless given".to_owned() };
    let Found { value: list, origin } = list.unwrap_or_else(built_in);
    trace::tell(|| format!("server {list} ({origin})"));
    let curve = curve(sources)?;
    let cleartext = sources.variable("ZCMD_ALLOW_CLEARTEXT").is_some_and(|it| it.value == "yes");
    let servers: Vec<String> = list.split(',').map(|server| server.trim().to_owned()).collect();
    if servers.len() > limits::SERVERS_MAX {
        return Err(format!(
            "{} servers; at most {} are tried",
            servers.len(),
            limits::SERVERS_MAX
        ));
    }
    for server in &servers {
        if let Some(fault) = address_fault(server) {
            return Err(format!("{origin}: {fault}"));
        }
        if curve.is_none() && !cleartext && leaves_host(server) {
            return Err(format!(
                "{server}: the token would cross the network in the clear; set ZCMD_SERVER_KEY \
                 and ZCMD_KEY_FILE (zcmd keygen FILE), or ZCMD_ALLOW_CLEARTEXT=yes"
            ));
        }
    }
    Ok(Servers { addresses: servers, curve })
}

/// Why an address is none of a server, if so.
pub fn address_fault(server: &str) -> Option<String> {
    let rest = ["tcp://", "ipc://"].iter().find_map(|kind| server.strip_prefix(kind));
    let has_port = server.strip_prefix("tcp://").is_none_or(has_port);
    (rest.is_none_or(str::is_empty) || !has_port).then(|| {
        format!("{server:?} is no address of a server; write tcp://HOST:PORT or ipc://PATH")
    })
}

/// Whether a place ends with a port. Of what is none, libzmq makes another one: 80 of `80x`.
fn has_port(place: &str) -> bool {
    let port = place.rsplit_once(':').map_or("", |(_, port)| port);
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn curve(sources: &Sources<'_>) -> Result<Option<Curve>, String> {
    let own = sources.get(None, ["", "ZCMD_KEY_FILE", "key_file"]);
    let (server, own) = match (server_key(sources)?, own) {
        (None, None) => return Ok(None),
        (Some(server), Some(own)) => (server, own),
        (Some(server), None) => {
            return Err(format!(
                "{} and ZCMD_KEY_FILE (key_file), which zcmd keygen makes, go together: the latter \
                 is missing",
                server.origin
            ));
        }
        (None, Some(own)) => {
            return Err(format!(
                "{} and ZCMD_SERVER_KEY (server_key), the daemon's public key, go together: the \
                 latter is missing",
                own.origin
            ));
        }
    };
    let Found { value, origin } = server;
    let server = CurveKey::parse(value.trim_end()).map_err(|why| format!("{origin} {why}"))?;
    trace::tell(|| format!("CURVE: the daemon's key is {} ({origin})", server.thumbprint()));
    let Found { value: path, origin } = own;
    if path.ends_with(".pub") {
        return Err(format!(
            "{origin}: {path} is a public key; name the file that zcmd keygen made beside it, \
             without .pub, which has both keys"
        ));
    }
    let text = files::read_secret(&path, limits::SECRET_FILE_BYTES_MAX)
        .map_err(|why| format!("{origin}: {why}"))?;
    let own = CurveKey::parse_lines(&text).map_err(|why| format!("{origin}: {path}: {why}"))?;
    let [_, public] = own;
    trace::tell(|| format!("CURVE: the own key is {}, of {path} ({origin})", public.thumbprint()));
    Ok(Some(Curve { server, own }))
}

/// The text of the daemon's public key. A file spares it the shell, for which it is full of traps.
fn server_key(sources: &Sources<'_>) -> Result<Option<Found>, String> {
    let key = sources.get(None, ["", "ZCMD_SERVER_KEY", "server_key"]);
    let is_of_host = |key: &Found| key.origin != "ZCMD_SERVER_KEY";
    match (key, sources.variable("ZCMD_SERVER_KEY_FILE")) {
        (Some(key), Some(_)) if !is_of_host(&key) => {
            Err("ZCMD_SERVER_KEY and ZCMD_SERVER_KEY_FILE are both set; unset one of them".into())
        }
        (Some(key), Some(_)) if sources.is_first => Ok(Some(key)),
        (_, Some(Found { value: path, origin })) => {
            let text = files::read(&path, limits::SECRET_FILE_BYTES_MAX)
                .map_err(|why| format!("{origin}: {why}"))?;
            match text.trim_end() {
                key if !key.contains('\n') => {
                    Ok(Some(Found { value: key.to_owned(), origin: format!("{origin}: {path}") }))
                }
                _ => Err(format!(
                    "{origin}: {path} has more than one line; name the file with the daemon's \
                     public key alone, which ends in .pub"
                )),
            }
        }
        (key, None) => Ok(key),
    }
}

fn timeout(Found { value: text, origin }: Found) -> Result<Duration, String> {
    let max = limits::TIMEOUT_SECONDS_MAX;
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match seconds {
        Some(timeout) if !timeout.is_zero() && timeout.as_secs() <= max => Ok(timeout),
        _ => Err(format!("{origin} {text}: expected seconds, more than 0 and at most {max}")),
    }
}

fn retry(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count @ 0..=limits::TRIES_MAX) => Ok(count),
        _ => Err(format!("--retry {text}: expected a number, 0 to {}", limits::TRIES_MAX)),
    }
}

/// An id as the wire has it: an integer when it looks like one.
///
/// # Errors
/// It is longer than an id may be.
pub fn id(text: &str) -> Result<Id, String> {
    if text.len() > limits::ID_BYTES_MAX || text.is_empty() {
        return Err(format!("an id has 1 to {} bytes, not {}", limits::ID_BYTES_MAX, text.len()));
    }
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Ok(Id::Number(number.into())),
        _ => Ok(Id::Text(text.to_owned())),
    }
}

fn token(given: &Given, sources: &Sources<'_>) -> Result<String, String> {
    let bytes_max = limits::SECRET_FILE_BYTES_MAX;
    let names = ["--token-file", "ZCMD_TOKEN_FILE", "token_file"];
    let file = sources.get(given.token_file.as_ref(), names);
    let (text, origin) = match (file, sources.variable("ZCMD_TOKEN")) {
        (Some(file), _) if file.origin == "--token-file" && file.value == "-" => {
            (files::read_within(io::stdin(), "standard input", bytes_max)?, file.origin)
        }
        (Some(file), Some(_)) if file.origin == "ZCMD_TOKEN_FILE" => {
            return Err("ZCMD_TOKEN_FILE and ZCMD_TOKEN are both set; unset one of them".into());
        }
        // A variable goes before the configuration file.
        (Some(file), Some(Found { value, origin }))
            if file.origin != "--token-file" && !sources.is_first =>
        {
            (value, origin)
        }
        (Some(Found { value: path, origin }), _) => {
            (files::read_secret(&path, bytes_max)?, format!("{path}, {origin}"))
        }
        (None, Some(Found { value, origin })) => (value, origin),
        (None, None) => {
            return Err("no token; set ZCMD_TOKEN_FILE to a file that holds one (chmod 600), or \
                        give --token-file FILE"
                .into());
        }
    };
    let token = text.strip_suffix('\n').unwrap_or(&text);
    let token = token.strip_suffix('\r').unwrap_or(token);
    match token.len() {
        0 => Err("the token is empty; ask the owner of the host for one (zcmdd token)".into()),
        1..=limits::TOKEN_BYTES_MAX => {
            trace::tell(|| format!("token ({origin}): {}", own_token::describe(token)));
            Ok(token.to_owned())
        }
        long => Err(format!("the token has {long} bytes; at most {}", limits::TOKEN_BYTES_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(given: Given, env: &[(&str, &str)]) -> Result<Settings, String> {
        let get = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::complete(&given, &get)
    }

    #[test]
    fn arguments_go_before_the_environment_and_that_before_the_defaults() {
        let token = ("ZCMD_TOKEN", "t");
        let settings = complete(Given::default(), &[token]).unwrap();
        assert_eq!(settings.servers.addresses, [SERVER]);
        assert_eq!((settings.token.as_str(), settings.timeout.as_secs()), ("t", 60));
        let two = ("ZCMD_SERVER", "tcp://[::1]:1, ipc:///b");
        let settings = complete(Given::default(), &[token, two]).unwrap();
        assert_eq!(settings.servers.addresses, ["tcp://[::1]:1", "ipc:///b"]);
        let given = Given {
            server: Some("tcp://localhost:1".into()),
            timeout: Some(".25".into()),
            id: Some("7".into()),
            ..Given::default()
        };
        let settings = complete(given, &[token, two]).unwrap();
        assert_eq!(settings.servers.addresses, ["tcp://localhost:1"]);
        assert_eq!(settings.timeout, Duration::from_millis(250));
        assert_eq!(settings.id, Some(Id::Number(7)));
    }

    #[test]
    fn old_wound_a_port_that_is_none_was_another_servers() {
        let server = |port: &str| Given {
            server: Some(format!("tcp://127.0.0.1{port}")),
            ..Given::default()
        };
        for port in [":1", ":5555", ":65535"] {
            assert!(complete(server(port), &[("ZCMD_TOKEN", "t")]).is_ok(), "{port}");
        }
        for port in ["", ":", ":0", ":*", ":80x", ":65536", ":99999", ":+80", ":-1", ": 80"] {
            let error = complete(server(port), &[("ZCMD_TOKEN", "t")]).expect_err(port);
            assert!(error.contains("write tcp://HOST:PORT"), "{port}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_is_sent() {
        let timeout = |text: &str| Given { timeout: Some(text.into()), ..Given::default() };
        let server = |text: &str| Given { server: Some(text.into()), ..Given::default() };
        let id = |text: &str| Given { id: Some(text.into()), ..Given::default() };
        let token = [("ZCMD_TOKEN", "t")];
        let long = "x".repeat(limits::TOKEN_BYTES_MAX + 1);
        type Env<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(Given, Env<'_>, &str)] = &[
            (Given::default(), &[], "no token;"),
            (Given::default(), &[("ZCMD_TOKEN", "\n")], "the token is empty"),
            (Given::default(), &[("ZCMD_TOKEN", &long)], "the token has 8193 bytes"),
            (Given::default(), &[("ZCMD_TOKEN", "a"), ("ZCMD_TOKEN_FILE", "b")], "both set"),
            (Given::default(), &[("ZCMD_SERVER_KEY", "x")], "go together"),
            (Given::default(), &[("ZCMD_KEY_FILE", "x")], "go together"),
            (
                Given::default(),
                &[("ZCMD_SERVER_KEY", "x"), ("ZCMD_KEY_FILE", "b")],
                "ZCMD_SERVER_KEY is not a",
            ),
            (timeout("0"), &token, "--timeout 0: expected seconds"),
            (timeout("-1"), &token, "expected seconds"),
            (timeout("nan"), &token, "expected seconds"),
            (timeout("inf"), &token, "expected seconds"),
            (timeout("1e9"), &token, "expected seconds"),
            (server("localhost:5555"), &token, "write tcp://HOST:PORT"),
            (server("ws://a:1"), &token, "write tcp://HOST:PORT"),
            (
                server("tcp://a:1"),
                &token,
                "tcp://a:1: the token would cross the network in the clear",
            ),
            (server("ipc://a,"), &token, "\"\" is no address"),
            (server(&["tcp://a:1"; 9].join(",")), &token, "9 servers; at most 8"),
            (id(""), &token, "an id has 1 to 64 bytes, not 0"),
            (id(&"x".repeat(65)), &token, "an id has 1 to 64 bytes, not 65"),
        ];
        for (given, env, message) in cases {
            let error = complete(given.clone(), env).expect_err(message);
            assert!(error.contains(message), "{error}");
        }
    }
}
