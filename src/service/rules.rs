//! What the owner has laid down in files: keys, revocations, clients, commands.
//!
//! Promises: all of it is read, or none of it is used, at the start and again when the daemon is
//! told to read it anew: a bad file never stops or half-changes a running daemon.
//! Leaves out: the reading itself, which is handed in.

use crate::limits;
use crate::port::Field;
use crate::protocol::curve::CurveKey;
use crate::protocol::token::Keys;
use crate::service::caller::Revoked;
use crate::service::clients::Clients;
use crate::service::commands::Commands;
use crate::service::settings::{KeySource, Settings};

/// All that the files say.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The keys that sign tokens.
    pub keys: Keys,
    /// The tokens that hold no more.
    pub revoked: Revoked,
    /// The CURVE keys that are let in; none without CURVE.
    pub clients: Option<Clients>,
    /// The commands that may run.
    pub commands: Commands,
}

/// How files are looked at, by path; those that are read, up to a greatest size in bytes.
#[derive(Clone, Copy)]
pub struct Files {
    /// Reads a file that others cannot change.
    pub text: fn(&str, usize) -> Result<String, String>,
    /// Reads such a file that must be closed to others, too.
    pub secret: fn(&str, usize) -> Result<String, String>,
    /// Checks that others cannot change a program. One that is not there is none of its faults.
    pub program: fn(&str) -> Result<(), String>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Files")
    }
}

impl Rules {
    /// How many of each there are, for the log.
    pub fn counts(&self) -> Vec<(&'static str, Field)> {
        let count = |n: usize| Field::Number(n as i128);
        let clients = self.clients.as_ref().map(|clients| ("clients", count(clients.count())));
        let mut counts = vec![
            ("keys", count(self.keys.count())),
            ("revoked", count(self.revoked.count())),
            ("commands", count(self.commands.count())),
        ];
        counts.extend(clients);
        counts
    }

    /// Reads all the files that the settings name.
    ///
    /// # Errors
    /// All that is wrong with them, each with the variable that names the file.
    pub fn load(settings: &Settings, files: Files) -> Result<Self, Vec<String>> {
        let keys = load_keys(&settings.keys, files);
        let revoked = optional("REVOKED_TOKENS_FILE", &settings.revoked_file, |path| {
            let text = (files.text)(path, limits::REVOKED_FILE_BYTES_MAX);
            text.and_then(|text| Revoked::parse(&text)).map_err(|fault| vec![fault])
        });
        let clients = optional("CURVE_CLIENTS_FILE", &settings.curve_clients_file, |path| {
            let text = (files.text)(path, limits::CLIENTS_FILE_BYTES_MAX);
            text.map_err(|fault| vec![fault]).and_then(|text| Clients::parse(&text)).map(Some)
        });
        let commands = optional("COMMANDS_FILE", &settings.commands_file, |path| {
            let text = (files.text)(path, limits::COMMANDS_FILE_BYTES_MAX);
            let commands = Commands::parse(&text.map_err(|fault| vec![fault])?)?;
            let faults = commands.programs().filter_map(|(name, program)| {
                (files.program)(program).err().map(|why| format!("{name}.run[0]: {why}"))
            });
            let faults: Vec<String> = faults.collect();
            if faults.is_empty() { Ok(commands) } else { Err(faults) }
        });
        match (keys, revoked, clients, commands) {
            (Ok(keys), Ok(revoked), Ok(clients), Ok(commands)) => {
                Ok(Self { keys, revoked, clients, commands })
            }
            (keys, revoked, clients, commands) => {
                let faults = [keys.err(), revoked.err(), clients.err(), commands.err()];
                Err(faults.into_iter().flatten().flatten().collect())
            }
        }
    }
}

/// Reads the keys alone, as `zcmdd token` needs them.
///
/// # Errors
/// What is wrong with them, with the variable that names them.
pub fn load_keys(source: &KeySource, files: Files) -> Result<Keys, Vec<String>> {
    let (variable, keys) = match source {
        KeySource::Secret(secret) => ("JWT_SECRET_KEY", Keys::new([(None, secret.as_bytes())])),
        KeySource::File(path) => {
            let text = (files.secret)(path, limits::SECRET_FILE_BYTES_MAX);
            ("JWT_SECRET_KEY_FILE", text.and_then(|text| Keys::parse(&text)))
        }
    };
    keys.map_err(|fault| vec![format!("{variable}: {fault}")])
}

/// Reads the CURVE key that the daemon shows to its clients, if there is to be one.
///
/// # Errors
/// What is wrong with it, with the variable that names it.
pub fn load_curve_key(settings: &Settings, files: Files) -> Result<Option<[u8; 32]>, Vec<String>> {
    optional("CURVE_SECRET_KEY_FILE", &settings.curve_secret_file, |path| {
        let text = (files.secret)(path, limits::SECRET_FILE_BYTES_MAX);
        let [key] = text.and_then(|text| CurveKey::parse_lines(&text)).map_err(|why| vec![why])?;
        Ok(Some(key.0))
    })
}

fn optional<T: Default>(
    variable: &str,
    path: &Option<String>,
    load: impl Fn(&str) -> Result<T, Vec<String>>,
) -> Result<T, Vec<String>> {
    let Some(path) = path else { return Ok(T::default()) };
    load(path).map_err(|faults| faults.iter().map(|f| format!("{variable}: {f}")).collect())
}
