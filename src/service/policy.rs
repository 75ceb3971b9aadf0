//! The policy of the owner, from files: keys, revocations, clients, roles, commands.
//!
//! Promises: it is parsed whole or refused whole, at the start and at each reload: a bad file never
//! stops or half-changes a running daemon. A policy is immutable; a reload makes a new one.
//! Leaves out: reading the files. Their texts are arguments.

use crate::limits;
use crate::port::Field;
use crate::protocol::curve::CurveKey;
use crate::protocol::token::Keys;
use crate::service::access::authority::{Authority, Revoked};
use crate::service::access::clients::Clients;
use crate::service::access::roles::Roles;
use crate::service::commands::Commands;
use crate::service::settings::{KeySource, Settings};

/// The content of all files.
#[derive(Clone, Debug)]
pub struct Policy {
    /// All that decides whether a token is valid.
    pub authority: Authority,
    /// The commands that may run.
    pub commands: Commands,
}

/// A file that the settings name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its path.
    pub path: &'a str,
    /// The greatest size, in bytes.
    pub bytes_max: usize,
    /// Whether others must not be able to read it.
    pub secret: bool,
    /// Whether it may be a directory of such files, which have that size together.
    pub several: bool,
}

/// The name and the text of a file, or the error of reading it.
pub type Text = (String, Result<String, String>);

/// The texts of files by the variable that names each.
#[derive(Debug, Default)]
pub struct Texts(Vec<(&'static str, Vec<Text>)>);

const KEYS: &str = "JWT_SECRET_KEY_FILE";
const REVOKED: &str = "REVOKED_TOKENS_FILE";
const CLIENTS: &str = "CURVE_CLIENTS_FILE";
const COMMANDS: &str = "COMMANDS_FILE";
const ROLES: &str = "ROLES_FILE";
const CURVE_SECRET: &str = "CURVE_SECRET_KEY_FILE";

impl Texts {
    /// Reads each source with `read`.
    pub fn read<'a>(
        sources: impl IntoIterator<Item = Source<'a>>,
        read: impl Fn(&Source<'a>) -> Vec<Text>,
    ) -> Self {
        Self(sources.into_iter().map(|source| (source.variable, read(&source))).collect())
    }

    /// Parses a text with `parse`; the default if no file is named.
    fn parse<T>(
        &self,
        variable: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, Vec<String>>,
    ) -> Result<T, Vec<String>> {
        let Some([(_, text)]) = self.all(variable) else { return Ok(default) };
        let parsed = text.as_ref().map_err(|fault| vec![fault.clone()]).and_then(|t| parse(t));
        parsed.map_err(|faults| faults.iter().map(|f| format!("{variable}: {f}")).collect())
    }

    fn all(&self, variable: &'static str) -> Option<&[Text]> {
        let found = self.0.iter().find(|(name, _)| *name == variable);
        found.map(|(_, texts)| texts.as_slice())
    }

    /// The commands of all files, whose faults have their own places.
    fn commands(&self) -> Result<Commands, Vec<String>> {
        let (mut files, mut faults) = (Vec::new(), Vec::new());
        for (name, text) in self.all(COMMANDS).unwrap_or_default() {
            match text {
                Ok(text) => files.push((name.as_str(), text.as_str())),
                Err(why) => faults.push(format!("{COMMANDS}: {why}")),
            }
        }
        match Commands::read(&files) {
            Ok(commands) if faults.is_empty() => Ok(commands),
            Ok(_) => Err(faults),
            Err(more) => Err([faults, more].concat()),
        }
    }
}

impl Policy {
    /// The files of a policy.
    pub fn sources(settings: &Settings) -> Vec<Source<'_>> {
        let revoked = (REVOKED, &settings.revoked_file, limits::REVOKED_FILE_BYTES_MAX);
        let clients = (CLIENTS, &settings.curve_clients_file, limits::CLIENTS_FILE_BYTES_MAX);
        let commands = (COMMANDS, &settings.commands_file, limits::COMMANDS_FILE_BYTES_MAX);
        let roles = (ROLES, &settings.roles_file, limits::ROLES_FILE_BYTES_MAX);
        let open =
            [revoked, clients, commands, roles].into_iter().filter_map(|(variable, path, size)| {
                let path = path.as_deref()?;
                let several = variable == COMMANDS;
                Some(Source { variable, path, bytes_max: size, secret: false, several })
            });
        key_source(settings).into_iter().chain(open).collect()
    }

    /// Parses the texts of `sources`.
    ///
    /// # Errors
    /// All that is wrong with them, each with the variable that names the file.
    pub fn parse(settings: &Settings, texts: &Texts) -> Result<Self, Vec<String>> {
        let keys = parse_keys(settings, texts);
        let one = |fault: String| vec![fault];
        let revoked = texts.parse(REVOKED, Revoked::default(), |t| Revoked::parse(t).map_err(one));
        let clients = texts.parse(CLIENTS, None, |text| Clients::parse(text).map(Some));
        let commands = texts.commands();
        match (keys, revoked, clients, commands, parse_roles(texts)) {
            (Ok(keys), Ok(revoked), Ok(clients), Ok(commands), Ok(roles)) => {
                let (rules, roles) = (settings.tokens.clone(), roles.into());
                Ok(Self { authority: Authority { rules, keys, revoked, clients, roles }, commands })
            }
            (keys, revoked, clients, commands, roles) => {
                let tokens = [keys.err(), revoked.err(), clients.err()];
                let faults = tokens.into_iter().chain([commands.err(), roles.err()]);
                Err(faults.flatten().flatten().collect())
            }
        }
    }

    /// The number of entries of each kind, for the log.
    pub fn counts(&self) -> Vec<(&'static str, Field)> {
        let Authority { keys, revoked, clients, roles, .. } = &self.authority;
        let count = |n: usize| Field::Number(n as i128);
        let clients = clients.as_ref().map(|clients| ("clients", count(clients.count())));
        let mut counts = vec![
            ("keys", count(keys.count())),
            ("revoked", count(revoked.count())),
            ("commands", count(self.commands.count())),
        ];
        counts.extend(clients);
        counts.extend((roles.count() > 0).then(|| ("roles", count(roles.count()))));
        counts
    }
}

/// What differs between two policies, for the log; the number of keys is among the counts.
pub fn changes(before: &Policy, after: &Policy) -> Vec<(&'static str, Field)> {
    let names = ["commands_added", "commands_removed", "commands_changed"];
    let commands = names.into_iter().zip(after.commands.changes(&before.commands));
    let (old, new) = (&before.authority, &after.authority);
    let others = [
        ("revoked", old.revoked != new.revoked),
        ("clients", old.clients != new.clients),
        ("roles", old.roles != new.roles),
    ];
    let others = others.iter().filter(|(_, differ)| *differ).map(|(name, _)| (*name).to_owned());
    let all = commands.chain([("changed", others.collect())]);
    let some = all.filter(|(_, names): &(_, Vec<String>)| !names.is_empty());
    some.map(|(name, names)| (name, Field::List(names))).collect()
}

/// The file with the keys that sign tokens.
pub fn key_source(settings: &Settings) -> Option<Source<'_>> {
    let KeySource::File(path) = &settings.keys else { return None };
    if path.is_empty() {
        return None;
    }
    let bytes_max = limits::SECRET_FILE_BYTES_MAX;
    Some(Source { variable: KEYS, path, bytes_max, secret: true, several: false })
}

/// Parses the text of `key_source`, or the key in the environment.
///
/// # Errors
/// What is wrong with the keys, with the variable that names them.
pub fn parse_keys(settings: &Settings, texts: &Texts) -> Result<Keys, Vec<String>> {
    match &settings.keys {
        KeySource::Secret(secret) => Keys::new([(None, secret.as_bytes())])
            .map_err(|fault| vec![format!("JWT_SECRET_KEY: {fault}")]),
        // The settings have told that none is named.
        KeySource::File(path) if path.is_empty() => Err(Vec::new()),
        KeySource::File(_) => {
            let keys = texts
                .parse(KEYS, None, |text| Keys::parse(text).map(Some).map_err(|fault| vec![fault]));
            keys?.ok_or_else(|| vec![format!("{KEYS}: was not read")])
        }
    }
}

/// The file with the roles; `zcmdd token` reads it too.
pub fn roles_source(settings: &Settings) -> Option<Source<'_>> {
    Policy::sources(settings).into_iter().find(|source| source.variable == ROLES)
}

/// Parses the text of `roles_source`; no roles if no file is named.
///
/// # Errors
/// All that is wrong with it, with the variable that names it.
pub fn parse_roles(texts: &Texts) -> Result<Roles, Vec<String>> {
    texts.parse(ROLES, Roles::default(), Roles::parse)
}

/// The file with the daemon's CURVE key, if there is one.
pub fn curve_source(settings: &Settings) -> Option<Source<'_>> {
    let path = settings.curve_secret_file.as_deref()?;
    let bytes_max = limits::SECRET_FILE_BYTES_MAX;
    Some(Source { variable: CURVE_SECRET, path, bytes_max, secret: true, several: false })
}

/// Parses the text of `curve_source`.
///
/// # Errors
/// What is wrong with the key, with the variable that names it.
pub fn parse_curve_key(texts: &Texts) -> Result<Option<[u8; 32]>, Vec<String>> {
    texts.parse(CURVE_SECRET, None, |text| {
        let [key] = CurveKey::parse_lines(text).map_err(|why| vec![why])?;
        Ok(Some(key.0))
    })
}
