//! Reads the files that the settings name; the service parses them.
//!
//! Promises: a file that others can change, and a secret that others can read, is refused before it
//! is read; all errors are reported together. Leaves out: the meaning of the texts.

use crate::protocol::token::Keys;
use crate::service::policy::{self, Policy, Source, Texts};
use crate::service::settings::Settings;
use crate::system::files;

fn read(source: &Source<'_>) -> Result<String, String> {
    let read = if source.secret { files::read_trusted_secret } else { files::read };
    read(source.path, source.bytes_max)
}

/// Reads all files of a policy, and checks that others cannot change the programs of its commands.
///
/// # Errors
/// All that is wrong with them, each with the variable that names the file.
pub fn policy(settings: &Settings) -> Result<Policy, Vec<String>> {
    let policy = Policy::parse(settings, &Texts::read(Policy::sources(settings), read))?;
    let programs = policy.commands.programs();
    let faults = programs.filter_map(|(name, program)| {
        let why = files::check_trusted(program).err()?;
        Some(format!("COMMANDS_FILE: {name}.run[0]: {why}"))
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

/// Reads the keys that sign tokens.
///
/// # Errors
/// What is wrong with them, with the variable that names them.
pub fn keys(settings: &Settings) -> Result<Keys, Vec<String>> {
    policy::parse_keys(settings, &Texts::read(policy::key_source(settings), read))
}

/// Reads the daemon's CURVE key, if there is one.
///
/// # Errors
/// What is wrong with it, with the variable that names it.
pub fn curve_key(settings: &Settings) -> Result<Option<[u8; 32]>, Vec<String>> {
    policy::parse_curve_key(&Texts::read(policy::curve_source(settings), read))
}
