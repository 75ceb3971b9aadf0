//! The configuration file: a name for each host, with its server, keys and token.
//!
//! Promises: every fault is told with file and line, an unknown key is one, and all of them are
//! told at once. The file is one that root and the user alone can change, since it says where a
//! token goes. A relative path in it is relative to its directory; `~/` is the home directory.
//! Leaves out: what the values are good for, which `settings` says; writing, which is `configure`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::limits;
use crate::system::files;

/// What a host may say of itself.
pub const KEYS: [&str; 5] = ["server", "server_key", "key_file", "token_file", "timeout"];

/// The environment: the value of a variable, if it is set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where it is.
    pub path: String,
    /// The host that is asked when none is named.
    pub default: Option<String>,
    /// The hosts by name.
    pub hosts: BTreeMap<String, Host>,
}

/// What is said of a host: its line, and for each of `KEYS` that is given, the line and the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The line of its name.
    pub line: usize,
    /// The values, with their lines.
    pub values: BTreeMap<&'static str, (usize, String)>,
}

/// Where the user's own file is, whether it exists or not.
pub fn own_path(env: Env<'_>) -> Option<String> {
    let directory = env("XDG_CONFIG_HOME").filter(|path| path.starts_with('/'));
    let directory = directory.or_else(|| env("HOME").map(|home| format!("{home}/.config")));
    env("ZCMD_CONFIG").or_else(|| directory.map(|path| format!("{path}/zcmd/config.toml")))
}

/// Reads the file that the environment names, or else the user's own, or else that of the system;
/// the first that exists. None if none does.
///
/// # Errors
/// All faults of the file; or the file that `ZCMD_CONFIG` names does not exist.
pub fn find(env: Env<'_>) -> Result<Option<Config>, Vec<String>> {
    let own = own_path(env);
    let is_named = env("ZCMD_CONFIG").is_some();
    let system = (!is_named).then(|| "/etc/zcmd/config.toml".to_owned());
    let exists = |path: &String| is_named || Path::new(path).exists();
    let Some(path) = own.into_iter().chain(system).find(exists) else { return Ok(None) };
    let text = files::read(&path, limits::CONFIG_FILE_BYTES_MAX).map_err(|why| vec![why])?;
    parse(&path, &text, env).map(Some)
}

/// Reads the text of a file.
///
/// # Errors
/// All its faults, each with file and line.
pub fn parse(path: &str, text: &str, env: Env<'_>) -> Result<Config, Vec<String>> {
    let mut reader = Reader { path, text, env, faults: Vec::new() };
    let config = match DeTable::parse(text) {
        Ok(table) => reader.config(table.get_ref()),
        Err(error) => {
            let at = error.span().map_or(text.len(), |span| span.start);
            reader.fault(at, error.message());
            Config::default()
        }
    };
    reader.faults.sort();
    match reader.faults.is_empty() {
        true => Ok(config),
        false => Err(reader.faults.into_iter().map(|(_, fault)| fault).collect()),
    }
}

struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    env: Env<'a>,
    /// Lines, and what is wrong there.
    faults: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn fault(&mut self, at: usize, what: &str) {
        let line = self.line(at);
        self.faults.push((line, format!("{}:{line}: {what}", self.path)));
    }

    fn config(&mut self, table: &DeTable<'_>) -> Config {
        let mut config = Config { path: self.path.to_owned(), ..Config::default() };
        let mut default_at = 0;
        for (key, value) in table {
            let at = value.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("default", DeValue::String(name)) => {
                    (default_at, config.default) = (at, Some(name.to_string()));
                }
                ("hosts", DeValue::Table(hosts)) => {
                    config.hosts = hosts.iter().filter_map(|host| self.host(host)).collect();
                }
                ("default", _) => self.fault(at, "default: the name of a host, in quotes"),
                ("hosts", _) => self.fault(at, "hosts: write [hosts.NAME]"),
                (other, _) => {
                    let what = format!("unknown key {other:?}; known are default and hosts");
                    self.fault(key.span().start, &what);
                }
            }
        }
        if let Some(name) = &config.default
            && !config.hosts.contains_key(name)
        {
            let what = format!("default: there is no [hosts.{name}]");
            self.fault(default_at, &what);
        }
        config
    }

    fn host(&mut self, (key, value): (&Key<'_>, &Spanned<DeValue<'_>>)) -> Option<(String, Host)> {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        if let Err(why) = check_name(name) {
            self.fault(at, &why);
        }
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(at, &format!("hosts.{name}: write [hosts.{name}], and its keys below"));
            return None;
        };
        let mut host = Host { line: self.line(at), ..Host::default() };
        for (key, value) in table {
            let at = key.span().start;
            let Some(known) = KEYS.into_iter().find(|known| known == key.get_ref()) else {
                let known = KEYS.join(", ");
                let what = format!("unknown key {:?}; known are {known}", key.get_ref());
                self.fault(at, &what);
                continue;
            };
            let text = match (known, value.get_ref()) {
                ("timeout", DeValue::Integer(number)) => number.as_str().to_owned(),
                ("timeout", DeValue::Float(number)) => number.as_str().to_owned(),
                ("timeout", _) => {
                    self.fault(at, "timeout: a number of seconds, without quotes");
                    continue;
                }
                ("key_file" | "token_file", DeValue::String(path)) => self.whole(path),
                (_, DeValue::String(text)) => text.to_string(),
                _ => {
                    self.fault(at, &format!("{known}: a text in quotes"));
                    continue;
                }
            };
            host.values.insert(known, (self.line(at), text));
        }
        Some((name.to_owned(), host))
    }

    /// The path of a file that the configuration names.
    fn whole(&self, path: &str) -> String {
        let directory = Path::new(self.path).parent().unwrap_or(Path::new(""));
        match (path.strip_prefix("~/"), (self.env)("HOME")) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => directory.join(path).to_string_lossy().into_owned(),
        }
    }
}

type Key<'a> = Spanned<DeString<'a>>;

/// Whether a host may have this name: what can be typed behind `-H` and written without quotes.
///
/// # Errors
/// What a name has.
pub fn check_name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match (1..=limits::NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(good) {
        true => Ok(()),
        false => Err(format!("{name:?} is no name of a host: letters, digits, - and _")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        parse("/etc/c.toml", text, &|name| (name == "HOME").then(|| "/home/a".into()))
    }

    #[test]
    fn hosts_are_read_with_the_lines_of_their_values() {
        let text = "# hosts\ndefault = \"nas\"\n\n[hosts.nas]\nserver = 'tcp://nas:5555'\n\
                    token_file = \"~/t\"\ntimeout = 2.5\n[hosts.pi]\nkey_file = \"pi.key\"\n\
                    timeout = 3\n";
        let config = read(text).unwrap();
        assert_eq!(config.default.as_deref(), Some("nas"));
        let value = |host: &str, key: &str| config.hosts[host].values[key].clone();
        assert_eq!(value("nas", "server"), (5, "tcp://nas:5555".into()));
        assert_eq!(value("nas", "token_file"), (6, "/home/a/t".into()));
        assert_eq!(value("nas", "timeout"), (7, "2.5".into()));
        assert_eq!(value("pi", "key_file"), (9, "/etc/pi.key".into()));
        assert_eq!(value("pi", "timeout"), (10, "3".into()));
        assert_eq!(read("").unwrap().hosts, BTreeMap::new());
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let deep = format!("a = {}", "[".repeat(50_000));
        let cases: &[(&str, &[&str])] = &[
            ("a = 1\nb = 2", &[":1: unknown key \"a\"", ":2: unknown key \"b\""]),
            ("[hosts.a]\n\nsrver = 'x'", &[":3: unknown key \"srver\"; known are server,"]),
            ("[hosts.a]\nserver = 1", &[":2: server: a text in quotes"]),
            ("[hosts.a]\ntimeout = '1'", &[":2: timeout: a number"]),
            ("default = 'b'\n[hosts.a]", &[":1: default: there is no [hosts.b]"]),
            ("default = 1", &[":1: default: the name of a host"]),
            ("hosts = 1", &[":1: hosts: write [hosts.NAME]"]),
            ("hosts.a = 1", &[":1: hosts.a: write [hosts.a]"]),
            ("[hosts.'a b']", &[":1: \"a b\" is no name of a host"]),
            ("a = 'x\n", &[":1: "]),
            ("[hosts.a]\n[hosts.a]", &[":2: "]),
            (&deep, &[":1: "]),
        ];
        for (text, wanted) in cases {
            let faults = read(text).expect_err(text);
            assert_eq!(faults.len(), wanted.len(), "{faults:?}");
            for (fault, wanted) in faults.iter().zip(*wanted) {
                assert!(fault.starts_with(&format!("/etc/c.toml{wanted}")), "{fault} {wanted}");
            }
        }
    }
}
