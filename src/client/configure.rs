//! `zcmd config`: checks the configuration file, and adds a host to it.
//!
//! Promises: `check` says of each host what is wrong with it, keys and token included, and asks no
//! daemon. `add` asks a person, changes nothing that is there, and replaces the file at once, with
//! one that it has read back before. No secret is asked for: keys and tokens are named by file.
//! Leaves out: what the file means, which is `config` and `settings`.

use std::fs::{DirBuilder, OpenOptions, rename};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::client::config::{self, Config, Env};
use crate::client::lines::{Line, Lines, Stdin};
use crate::client::own_token;
use crate::client::settings::{self, Given, Settings};
use crate::client::status::{self, Failure};
use crate::client::text::{self, one_line};
use crate::limits;
use crate::protocol::curve::CurveKey;
use crate::system::files;

/// What to do with the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look for faults.
    Check,
    /// Add the host of this name.
    Add(String),
}

/// Does it.
///
/// # Errors
/// What is wrong, and what to do.
pub fn run(action: &Action) -> Result<u8, Failure> {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match action {
        Action::Check => check(&env),
        Action::Add(name) => add(name, &env),
    }
}

fn check(env: Env<'_>) -> Result<u8, Failure> {
    let config = match config::find(env) {
        Ok(Some(config)) => config,
        Ok(None) => {
            let path = config::own_path(env).unwrap_or_default();
            return Err(Failure::refused(format!(
                "there is no configuration file; zcmd config add NAME makes {path}"
            )));
        }
        Err(faults) => {
            faults.iter().for_each(|fault| text::error(status::NOT_SENT, fault));
            return Ok(status::REFUSED);
        }
    };
    let mut status = status::DONE;
    for name in config.hosts.keys() {
        let mark = if config.default.as_ref() == Some(name) { " (default)" } else { "" };
        match settings_of(name, env) {
            Ok(Settings { servers, token, .. }) => {
                let curve = if servers.curve.is_some() { "CURVE" } else { "no CURVE" };
                let (servers, token) = (servers.addresses.join(","), own_token::describe(&token));
                let line = format!("{name}{mark}: {servers}, {curve}, {token}");
                say(&mut io::stdout(), &format!("{}\n", one_line(&line)))?;
            }
            Err(fault) => {
                status = status::REFUSED;
                text::error(status::NOT_SENT, &format!("{name}{mark}: {fault}"));
            }
        }
    }
    Ok(status)
}

/// What a run with `--host NAME` goes by.
fn settings_of(name: &str, env: Env<'_>) -> Result<Settings, String> {
    Settings::complete(&Given { host: Some(name.to_owned()), ..Given::default() }, env)
}

fn add(name: &str, env: Env<'_>) -> Result<u8, Failure> {
    config::check_name(name).map_err(Failure::refused)?;
    let path = config::own_path(env).ok_or_else(|| Failure::refused("HOME is not set"))?;
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::refused(format!(
            "config add asks on a terminal, and this is none; add to {path}: [hosts.{name}], and \
             below it server, server_key, key_file and token_file, each as NAME = \"VALUE\""
        )));
    }
    let (text, config) = existing(&path, env).map_err(Failure::refused)?;
    if let Some(host) = config.hosts.get(name) {
        let line = host.line;
        return Err(Failure::refused(format!("{path}:{line}: there is a host {name}; edit it")));
    }
    let mut lines = Lines::new(Stdin);
    let values = questions(&mut lines)?;
    let mut block = format!("[hosts.{name}]\n");
    for (key, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        // A string of JSON is one of TOML.
        let value = serde_json::to_string(value).unwrap_or_default();
        block += &format!("{key} = {value}\n");
    }
    let first = if config.hosts.is_empty() && config.default.is_none() {
        format!("default = \"{name}\"\n\n")
    } else {
        String::new()
    };
    let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{first}{text}{end}{gap}{block}");
    config::parse(&path, &text, env).map_err(|faults| Failure::refused(faults.concat()))?;
    replace(&path, &text)
        .map_err(|error| Failure::refused(format!("cannot write {path}: {error}")))?;
    say(&mut io::stdout(), &format!("host {name} is in {path}: zcmd -H {name} ping\n"))?;
    if let Err(fault) = settings_of(name, env) {
        text::diagnose(&format!("not complete yet: {fault}"));
    }
    Ok(status::DONE)
}

/// The file as it is; empty if there is none.
fn existing(path: &str, env: Env<'_>) -> Result<(String, Config), String> {
    if !Path::new(path).exists() {
        return Ok((String::new(), Config::default()));
    }
    let text = files::read(path, limits::CONFIG_FILE_BYTES_MAX)?;
    let config = config::parse(path, &text, env).map_err(|faults| faults.join("; "))?;
    Ok((text, config))
}

/// Asks for the values of a host.
fn questions(lines: &mut Lines<Stdin>) -> Result<Vec<(&'static str, String)>, Failure> {
    let address = |text: &str| match text.split(',').find_map(settings::address_fault) {
        Some(fault) => Err(fault),
        None => Ok(()),
    };
    let key = |text: &str| match text {
        "" => Ok(()),
        text => CurveKey::parse(text).map(drop).map_err(|why| format!("this {why}")),
    };
    let any = |_: &str| Ok(());
    let server = ask(lines, "Server, as tcp://HOST:PORT or ipc://PATH: ", &address)?;
    let what = "Public key of the daemon (empty if it is on this host, without CURVE): ";
    let server_key = ask(lines, what, &key)?;
    let key_file = match server_key.is_empty() {
        true => String::new(),
        false => ask(lines, "File of your own keys (zcmd keygen FILE makes it): ", &any)?,
    };
    let token_file = ask(lines, "File of your token: ", &any)?;
    Ok(vec![
        ("server", server),
        ("server_key", server_key),
        ("key_file", key_file),
        ("token_file", token_file),
    ])
}

/// Asks until the answer is good, or the input ends.
fn ask(
    lines: &mut Lines<Stdin>,
    question: &str,
    check: &dyn Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    loop {
        say(&mut io::stderr(), question)?;
        let answer = loop {
            match lines.take() {
                Some(Line::Text(text)) => break text.trim().to_owned(),
                Some(_) => break "\0".to_owned(),
                None if lines.ended() => {
                    return Err(Failure::refused("the input ended; nothing was written"));
                }
                None => lines.fill().map_err(|error| {
                    Failure::refused(format!("cannot read standard input: {error}"))
                })?,
            }
        };
        let fault = match answer.contains(char::is_control) {
            true => Err("this is not one line of text".to_owned()),
            false => check(&answer),
        };
        match fault {
            Ok(()) => return Ok(answer),
            Err(fault) => text::diagnose(&fault),
        }
    }
}

/// Puts a text in the place of a file, whole or not at all. What a link leads to is replaced.
fn replace(path: &str, text: &str) -> io::Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| Path::new(path).to_path_buf());
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut new = path.clone().into_os_string();
    new.push(format!(".{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    rename(new, path)
}

fn say(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| text::unwritten(&error))
}
