//! Reads the files that the settings name; the service parses them.
//!
//! Promises: a file that others can change, and a secret that others can read, is refused before it
//! is read; what commands need is checked before any of them is offered; all errors are reported
//! together. Leaves out: the meaning of the texts.

use std::collections::BTreeMap;

use crate::limits;
use crate::protocol::token::Keys;
use crate::service::access::roles::Roles;
use crate::service::commands::Need;
use crate::service::policy::{self, Policy, Source, Text, Texts};
use crate::service::settings::Settings;
use crate::system::{files, launch};

fn read(source: &Source<'_>) -> Vec<Text> {
    let read = if source.secret { files::read_trusted_secret } else { files::read };
    if !source.several || !files::is_directory(source.path) {
        return vec![(source.path.to_owned(), read(source.path, source.bytes_max))];
    }
    let paths = files::names_in(source.path, ".json", limits::COMMANDS_FILES_MAX);
    let mut left = source.bytes_max;
    let read = |path: String| {
        let text = read(&path, left).map_err(|why| match left < source.bytes_max {
            true => format!("{why}; all files have at most {} bytes together", source.bytes_max),
            false => why,
        });
        left -= text.as_ref().map_or(0, String::len);
        (path, text)
    };
    match paths {
        Ok(paths) => paths.into_iter().map(read).collect(),
        Err(why) => vec![(source.path.to_owned(), Err(why))],
    }
}

/// Reads all files; `faults` is what is wrong with the settings that name them.
///
/// # Errors
/// All that is wrong with settings and files.
pub fn everything(
    settings: &Settings,
    mut faults: Vec<String>,
) -> Result<(Policy, Option<[u8; 32]>), Vec<String>> {
    match (policy(settings), curve_key(settings)) {
        (Ok(policy), Ok(curve)) if faults.is_empty() => Ok((policy, curve)),
        (policy, curve) => {
            faults.extend([policy.err(), curve.err()].into_iter().flatten().flatten());
            Err(faults)
        }
    }
}

/// Reads all files of a policy, and checks that what its commands need is there and that others
/// cannot change their programs.
///
/// # Errors
/// All that is wrong with them, each with the variable that names the file, or with its place in
/// the file.
pub fn policy(settings: &Settings) -> Result<Policy, Vec<String>> {
    let policy = Policy::parse(settings, &Texts::read(Policy::sources(settings), read))?;
    // Many commands share a user or a directory.
    let mut known = BTreeMap::new();
    let faults = policy.commands.needs().filter_map(|(place, need)| {
        let found = known.entry(need).or_insert_with(|| look_for(need));
        found.as_ref().err().map(|why| format!("{place}: {why}"))
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

fn look_for(need: Need<'_>) -> Result<(), String> {
    match need {
        Need::Program(path) => files::check_trusted(path),
        Need::User(name) => launch::check_user(name),
        Need::Group(name) => launch::group_id(name).map(drop),
        Need::Directory(path) => files::check_directory(path),
    }
}

/// Reads the keys that sign tokens.
///
/// # Errors
/// What is wrong with them, with the variable that names them.
pub fn keys(settings: &Settings) -> Result<Keys, Vec<String>> {
    policy::parse_keys(settings, &Texts::read(policy::key_source(settings), read))
}

/// Reads the roles.
///
/// # Errors
/// What is wrong with them, with the variable that names the file.
pub fn roles(settings: &Settings) -> Result<Roles, Vec<String>> {
    policy::parse_roles(&Texts::read(policy::roles_source(settings), read))
}

/// Reads the daemon's CURVE key, if there is one.
///
/// # Errors
/// What is wrong with it, with the variable that names it.
pub fn curve_key(settings: &Settings) -> Result<Option<[u8; 32]>, Vec<String>> {
    policy::parse_curve_key(&Texts::read(policy::curve_source(settings), read))
}
