//! `zcmdd`: parses its arguments, reads the environment, and runs the daemon or one of its tools.
//!
//! Leaves out: decisions.

use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};

use zcmd::daemon::load;
use zcmd::daemon::{self, Daemon};
use zcmd::limits;
use zcmd::protocol::curve::CurveKey;
use zcmd::protocol::request::Os;
use zcmd::protocol::token::Claims;
use zcmd::service::access::authority::Authority;
use zcmd::service::access::opened::OpenedTokens;
use zcmd::service::access::roles::Roles;
use zcmd::service::access::scope;
use zcmd::service::operations;
use zcmd::service::settings::Settings;
use zcmd::system::{clock::Clock, clock::unix_time, keypair, launch, random};

/// EX_USAGE of sysexits.h.
const WRONG_USAGE: u8 = 64;
/// EX_IOERR of sysexits.h.
const NOT_WRITTEN: u8 = 74;
/// EX_CONFIG of sysexits.h.
const WRONG_CONFIGURATION: u8 = 78;

const HELP: &str = "\
zcmdd: run the commands that this host's owner allowed, and evaluate maths, for holders of a token

  zcmdd                          serve, as the environment says
  zcmdd --check                  read everything, print the settings in effect, and end
  zcmdd --explain SCOPE NAME [PARAMETER...]
                                 print what a token of this scope would run, or why not
  zcmdd keygen                   print a new secret
  zcmdd keygen --curve FILE      make CURVE keys: FILE and FILE.pub; print the latter
  zcmdd token --sub NAME [--scope SCOPE] [--minutes N] [--long-lived] [--cnf KEY]
                                 print a token, signed with the first key; with --cnf, valid only
                                 for the client with this public key; with --long-lived, N may be
                                 more than a year

To begin:
  (umask 077; zcmdd keygen > key)
  export JWT_SECRET_KEY_FILE=key COMMANDS_FILE=commands.json
  (umask 077; zcmdd token --sub alice --scope 'compute os:uptime status' > token)
  zcmdd --check && zcmdd
  ZCMD_TOKEN_FILE=token zcmd compute '2*(3+4)'      # elsewhere

Signals: SIGTERM and SIGINT drain and end, a second one ends at once; SIGHUP reads keys,
revocations, clients, roles and commands again. Exit status: 0, 64 wrong usage, 74 output not
written, 78 wrong configuration.

Environment (zcmdd --check shows what is in effect):
  SERVER_ADDRESS            tcp://127.0.0.1:5555   endpoints, comma-separated; tcp:// or ipc://
  CURVE_SECRET_KEY_FILE     -                      for networks beyond this host: the daemon's key
  CURVE_CLIENTS_FILE        -                      admitted clients: KEY NAME [SUBJECT...] a line
  ALLOW_CLEARTEXT           no                     yes: any network, without CURVE
  CONNECTIONS_MAX           1024                   at the same time; fewer if ulimit -n is low
  ALLOW_SYSTEM_LIBZMQ       no                     yes: allow a libzmq that zcmd did not build
  IPC_MODE, IPC_GROUP       0660, -                of the socket's file
  JWT_SECRET_KEY_FILE       required               1 to 4 keys, a line each: SECRET or KID:SECRET
  JWT_SECRET_KEY            -                      one key, instead of the file
  JWT_ISSUER, JWT_AUDIENCE  -                      required in tokens
  JWT_EXPIRATION_MINUTES    30                     lifetime of tokens made here
  JWT_LEEWAY_SECONDS        30                     allowed difference of clocks
  JWT_ALGORITHM             HS256                  the only one
  DEFAULT_SCOPE             -                      scope of tokens that have none
  REVOKED_TOKENS_FILE       -                      one jti a line
  ROLES_FILE                -                      ROLE WORD... a line: the scope of role:ROLE
  MAX_REQUESTS_PER_MINUTE   60                     per subject; 0 is unlimited
  RATE_BURST                as above               requests at once
  COMMANDS_FILE             -                      a file, or a directory; without it, no command
  MAX_CONCURRENT_COMMANDS, MAX_QUEUED_COMMANDS, MAX_COMMANDS_PER_SUBJECT   8, 64, 4
  COMMAND_TIMEOUT_SECONDS, COMMAND_OUTPUT_BYTES_MAX                        30, 1048576
  SHUTDOWN_GRACE_SECONDS    10                     for running commands
  LOG_FILE, LOG_FORMAT, LOG_LEVEL                  standard error, json, info
  LOG_MAX_BYTES, LOG_KEEP                          10485760, 5
  LOG_REQUIRED              no                     yes: no command starts without its line
";

/// What the arguments ask for.
enum Task {
    Serve,
    Check,
    Explain { scope: String, os: Os },
    Keygen,
    CurveKeygen(String),
    Token { claims: Claims, minutes: Option<u64> },
    Print(String),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == launch::ARGUMENT
    {
        launch::run(rest);
        return ExitCode::from(WRONG_USAGE);
    }
    let done = match parse(arguments) {
        Ok(Task::Keygen | Task::Token { .. }) if output_was_closed() => {
            eprintln!("zcmdd: cannot write to standard output: it is closed");
            return ExitCode::from(NOT_WRITTEN);
        }
        Ok(Task::Print(text)) => Ok(text),
        Ok(Task::Keygen) => unguessable::<32>().map(line),
        Ok(Task::CurveKeygen(path)) => keypair::write(&path).map(line).map_err(|why| vec![why]),
        Ok(Task::Serve) => Daemon::start(environment()).map(|daemon| {
            daemon.run();
            String::new()
        }),
        Ok(Task::Check) => check(),
        Ok(Task::Explain { scope, os }) => return explain(scope, &os),
        Ok(Task::Token { claims, minutes }) => token(claims, minutes),
        Err(error) => {
            eprintln!("zcmdd: {error}; see zcmdd --help");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match done {
        Ok(text) => print(&text, ExitCode::SUCCESS),
        Err(faults) => complain(&faults),
    }
}

fn complain(faults: &[String]) -> ExitCode {
    for fault in faults {
        eprintln!("zcmdd: {fault}");
    }
    ExitCode::from(WRONG_CONFIGURATION)
}

fn parse(arguments: Vec<OsString>) -> Result<Task, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    let task = match parser.next()? {
        None => Task::Serve,
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Task::Print(help())),
        Some(Arg::Value(word)) if word == "help" => return Ok(Task::Print(help())),
        Some(Arg::Long("version") | Arg::Short('V')) => {
            Task::Print(concat!("zcmdd ", env!("CARGO_PKG_VERSION"), "\n").to_owned())
        }
        Some(Arg::Long("check")) => Task::Check,
        Some(Arg::Long("explain")) => {
            let mut texts = Vec::new();
            for text in parser.raw_args()? {
                texts.push(text.string()?);
            }
            let mut texts = texts.into_iter();
            let (Some(scope), Some(name)) = (texts.next(), texts.next()) else {
                return Err("--explain takes a scope and the name of a command".into());
            };
            Task::Explain { scope, os: Os { name, parameters: texts.collect(), ..Os::default() } }
        }
        Some(Arg::Value(word)) if word == "keygen" => match parser.next()? {
            None => Task::Keygen,
            Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Task::Print(help())),
            Some(Arg::Long("curve")) => Task::CurveKeygen(parser.value()?.string()?),
            Some(other) => return Err(other.unexpected()),
        },
        Some(Arg::Value(word)) if word == "token" => return parse_token(parser),
        Some(other) => return Err(other.unexpected()),
    };
    match parser.next()? {
        None => Ok(task),
        Some(other) => Err(other.unexpected()),
    }
}

fn parse_token(mut parser: Parser) -> Result<Task, lexopt::Error> {
    let (mut claims, mut minutes, mut long) = (Claims::default(), None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("sub") => claims.subject = parser.value()?.string()?,
            Arg::Long("scope") => claims.scope = Some(parser.value()?.string()?),
            Arg::Long("cnf") => {
                let key = parser.value()?.parse_with(CurveKey::parse)?;
                claims.confirmation = Some(key.thumbprint());
            }
            Arg::Long("minutes") => minutes = Some(parser.value()?.parse()?),
            Arg::Long("long-lived") => long = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Task::Print(help())),
            other => return Err(other.unexpected()),
        }
    }
    if claims.subject.is_empty() {
        return Err("token needs --sub NAME".into());
    }
    let words = claims.scope.as_deref().unwrap_or_default().split(' ');
    let wrong: Vec<String> = words
        .filter(|word| !word.is_empty())
        .filter_map(|word| scope::check_word(word).err())
        .collect();
    if !wrong.is_empty() {
        return Err(format!("--scope: {}", wrong.join("; ")).into());
    }
    if !long && minutes.is_some_and(|minutes| minutes > limits::TOKEN_MINUTES_MAX) {
        let most = limits::TOKEN_MINUTES_MAX;
        let why = format!("--minutes: more than {most}, a year; if it is meant, add --long-lived");
        return Err(why.into());
    }
    Ok(Task::Token { claims, minutes })
}

fn settings() -> Result<Settings, Vec<String>> {
    Settings::read(&|name| std::env::var_os(name))
}

/// The settings, and all that is wrong with them.
fn environment() -> (Settings, Vec<String>) {
    Settings::read_with_faults(&|name| std::env::var_os(name))
}

fn line(mut text: String) -> String {
    text.push('\n');
    text
}

/// The help, with the request types and the scope word that each needs.
fn help() -> String {
    let requests = operations::ALL.iter().map(|operation| {
        let scope = operation.scope.map_or(String::new(), |word| format!(" (scope {word})"));
        format!("  {:<10}{}{scope}\n", operation.name, operation.about)
    });
    format!("{HELP}\nRequests, by command_type:\n{}", requests.collect::<String>())
}

/// Whether standard output was closed at the start: the standard library then opens /dev/null for
/// reading and writing, unlike `>/dev/null`.
fn output_was_closed() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let stdout = std::io::stdout();
    fcntl_getfl(&stdout).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
        && fstat(&stdout)
            .is_ok_and(|out| stat("/dev/null").is_ok_and(|null| out.st_rdev == null.st_rdev))
}

/// Prints a text; a reader that has closed the pipe is no error.
fn print(text: &str, status: ExitCode) -> ExitCode {
    use std::io::{ErrorKind, Write};
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("zcmdd: cannot write to standard output: {error}");
            ExitCode::from(NOT_WRITTEN)
        }
        _ => status,
    }
}

fn check() -> Result<String, Vec<String>> {
    let (settings, faults) = environment();
    let (policy, _) = load::everything(&settings, faults)?;
    let mut shown = settings.shown.clone();
    shown.sort();
    for warning in daemon::warnings(&settings, &policy, unix_time()) {
        eprintln!("zcmdd: warning: {warning}");
    }
    Ok(shown.iter().map(|(name, value)| format!("{name}={value}\n")).collect())
}

fn explain(scope: String, os: &Os) -> ExitCode {
    let both = settings().and_then(|settings| {
        let policy = load::policy(&settings)?;
        Ok((settings, policy))
    });
    let (settings, policy) = match both {
        Ok(both) => both,
        Err(faults) => return complain(&faults),
    };
    // Only a token makes a caller.
    let now = Clock::start().now();
    let claims = Claims {
        subject: "explain".to_owned(),
        scope: Some(scope),
        expires: now.unix.as_secs_f64() + 1.0,
        issuer: settings.tokens.issuer.clone(),
        audience: settings.tokens.audience.clone().map(|name| vec![name]),
        ..Claims::default()
    };
    let token = policy.authority.keys.sign(&claims);
    let open = Authority { clients: None, ..policy.authority };
    let caller = match open.identify(&mut OpenedTokens::default(), None, &token, &now) {
        Ok(caller) => caller,
        Err(why) => {
            return complain(&[format!("a token of this scope would not be valid: {}", why.0)]);
        }
    };
    match policy.commands.permit(&caller, &settings.commands, os) {
        Ok(permit) => {
            let text = serde_json::to_string_pretty(&permit).unwrap_or_default();
            print(&line(text), ExitCode::SUCCESS)
        }
        Err(refusal) => {
            let text = format!("{}: {}\n", refusal.code().name(), refusal.reason());
            print(&text, ExitCode::FAILURE)
        }
    }
}

fn token(mut claims: Claims, minutes: Option<u64>) -> Result<String, Vec<String>> {
    let settings = settings()?;
    let keys = load::keys(&settings)?;
    warn_of_roles(&settings, claims.scope.as_deref().unwrap_or_default());
    let now = unix_time().as_secs();
    let lifetime = minutes.map_or(settings.token_lifetime.as_secs(), |m| m.saturating_mul(60));
    claims.issued = Some(now as f64);
    claims.expires = now.saturating_add(lifetime) as f64;
    claims.issuer = settings.tokens.issuer;
    claims.audience = settings.tokens.audience.map(|audience| vec![audience]);
    claims.id = Some(unguessable::<12>()?);
    let token = keys.sign(&claims);
    // A token that this daemon would refuse is not printed.
    keys.open(&token).map_err(|why| vec![format!("this token would not be valid: {}", why.0)])?;
    Ok(line(token))
}

/// Tells which roles of a token this host has not. Another one may have them.
fn warn_of_roles(settings: &Settings, scope: &str) {
    let roles = load::roles(settings).unwrap_or_else(|faults| {
        faults.iter().for_each(|fault| eprintln!("zcmdd: warning: {fault}"));
        Roles::default()
    });
    let named = scope.split(' ').filter_map(|word| word.strip_prefix("role:"));
    for role in named.filter(|role| !roles.has(role)) {
        let file = match &settings.roles_file {
            Some(path) => path,
            None => "ROLES_FILE, which is not set",
        };
        eprintln!("zcmdd: warning: the role {role} is not in {file}: here it is of no use");
    }
}

/// `N` random bytes, in base64url.
fn unguessable<const N: usize>() -> Result<String, Vec<String>> {
    use base64::Engine;
    let mut bytes = [0; N];
    random::fill(&mut bytes).map_err(|fault| vec![fault])?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
