//! Where a setting comes from: an option, a variable, or a host of the configuration file.
//!
//! Promises: an option goes before a variable, and a variable before the file. What `--host` names
//! was named by an option, and goes before variables. The default host is for those who name
//! neither host nor server, and that of `ZCMD_HOST` for those without `--server`: the keys of a
//! host belong to its server. The file is read only then, or when a host is named.
//! Leaves out: what the values mean.

use crate::client::config::{self, Env, Host};
use crate::client::settings::Given;
use crate::client::trace;

/// A value, and where it is from, for messages: `--server`, `ZCMD_SERVER`, `FILE:LINE: server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: String,
    /// Where it is from.
    pub origin: String,
}

/// The sources of one run.
pub struct Sources<'a> {
    env: Env<'a>,
    /// The file, and the host in it.
    host: Option<(String, Host)>,
    /// Whether the host goes before variables.
    pub is_first: bool,
}

impl<'a> Sources<'a> {
    /// Finds out which host is asked, if one of the configuration file is.
    ///
    /// # Errors
    /// The file has faults, or no host of this name.
    pub fn find(given: &Given, env: Env<'a>) -> Result<Self, String> {
        let variable = |name: &str| env(name).filter(|value| !value.is_empty());
        let named = given.host.clone().map(|name| (name, "--host"));
        // A variable is no reason to show the token of its host to the server of an option.
        let of_variable = || variable("ZCMD_HOST").filter(|_| given.server.is_none());
        let named = named.or_else(|| of_variable().map(|name| (name, "ZCMD_HOST")));
        let is_first = given.host.is_some();
        let has_server = given.server.is_some() || variable("ZCMD_SERVER").is_some();
        if named.is_none() && has_server {
            return Ok(Self { env, host: None, is_first });
        }
        let env_of_file = |name: &str| env(name).filter(|value| !value.is_empty());
        let config = config::find(&env_of_file).map_err(|faults| match faults.as_slice() {
            [first, _, ..] => format!("{first} (zcmd config check tells {})", faults.len()),
            _ => faults.concat(),
        });
        let config = match (config?, &named) {
            (Some(config), _) => config,
            (None, None) => return Ok(Self { env, host: None, is_first }),
            (None, Some((name, origin))) => {
                let path = config::own_path(env).unwrap_or_default();
                return Err(format!(
                    "{origin} {name}: there is no configuration file; zcmd config add {name} \
                     makes {path}"
                ));
            }
        };
        let default = config.default.clone().map(|name| (name, "default"));
        let Some((name, origin)) = named.or(default) else {
            return Ok(Self { env, host: None, is_first });
        };
        let Some(host) = config.hosts.get(&name).cloned() else {
            let known: Vec<_> = config.hosts.keys().map(String::as_str).collect();
            let path = &config.path;
            return Err(format!("{origin} {name}: {path} has no such host; it has {known:?}"));
        };
        trace::tell(|| format!("host {name} of {}:{} ({origin})", config.path, host.line));
        Ok(Self { env, host: Some((config.path, host)), is_first })
    }

    /// The value of a setting; each of its names may be empty.
    pub fn get(&self, given: Option<&String>, [option, name, key]: [&str; 3]) -> Option<Found> {
        let found = given.map(|value| Found { value: value.clone(), origin: option.to_owned() });
        let (first, last) = match self.is_first {
            true => (self.of_host(key), self.variable(name)),
            false => (self.variable(name), self.of_host(key)),
        };
        found.or(first).or(last)
    }

    /// The value of a variable. One that is set to nothing is not set.
    pub fn variable(&self, name: &str) -> Option<Found> {
        let value = (self.env)(name).filter(|value| !name.is_empty() && !value.is_empty())?;
        Some(Found { value, origin: name.to_owned() })
    }

    /// The value that the host of the configuration file has for this key.
    fn of_host(&self, key: &str) -> Option<Found> {
        let (path, host) = self.host.as_ref()?;
        let (line, value) = host.values.get(key)?;
        Some(Found { value: value.clone(), origin: format!("{path}:{line}: {key}") })
    }
}
