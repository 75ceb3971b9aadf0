//! Checks before the daemon serves: the socket, descriptors, and settings that may be mistakes.
//!
//! Promises: the daemon does not listen if a command could inherit its descriptors; nor with a
//! libzmq that lets peers crash it, unless the owner allows it. Leaves out: the loop.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::limits;
use crate::service::maths::is_typo;
use crate::service::policy::Policy;
use crate::service::settings::{KeySource, Settings};
use crate::system::listener::{Access, descriptors_max, inheritable};
use crate::system::router::Router;
use crate::system::zap::Zap;

/// Listens, unless this libzmq is unsafe or commands would inherit its descriptors.
pub(super) fn listen(
    settings: &Settings,
    secret: Option<[u8; 32]>,
) -> Result<(Zap, Router), Vec<String>> {
    if secret.is_some() && zmq::has("curve") != Some(true) {
        return Err(vec![
            "CURVE_SECRET_KEY_FILE: this libzmq has no CURVE; build zcmd as its README says"
                .to_owned(),
        ]);
    }
    if zmq::has("corrections-of-zcmd") != Some(true) && !settings.system_libzmq {
        return Err(vec![
            "this libzmq is not the one that zcmd builds: any peer could crash this daemon, fill \
             its memory and get the replies of others; build zcmd as its README says, or set \
             ALLOW_SYSTEM_LIBZMQ=yes"
                .to_owned(),
        ]);
    }
    let one = |fault: String| vec![fault];
    let context = zmq::Context::new();
    let zap =
        Zap::open(&context).map_err(|error| one(format!("cannot answer handshakes: {error}")))?;
    let access = Access { mode: settings.ipc_mode, group: settings.ipc_group.clone() };
    let connections = i32::try_from(connections_max(settings)).unwrap_or(i32::MAX);
    let router = Router::bind(&context, &zap, &settings.endpoints, connections, secret, &access);
    let router = router.map_err(one)?;
    match inheritable().as_slice() {
        [] => Ok((zap, router)),
        leaks => Err(one(format!(
            "every command would inherit the descriptors {}: this libzmq does not close them; \
             build zcmd as its README says",
            leaks.join(", ")
        ))),
    }
}

/// An endpoint as its owner writes it: libzmq reports an address of IPv4 as one of IPv6.
pub(super) fn usual(endpoint: &str) -> String {
    let mapped = endpoint.strip_prefix("tcp://[::ffff:").and_then(|rest| rest.split_once(']'));
    match mapped.filter(|(address, _)| address.parse::<Ipv4Addr>().is_ok()) {
        Some((address, port)) => format!("tcp://{address}{port}"),
        None => endpoint.to_owned(),
    }
}

/// The greatest number of connections: the setting, or fewer if descriptors are short. Those that
/// commands need are reserved.
fn connections_max(settings: &Settings) -> usize {
    let commands = settings.commands.concurrent_max * limits::COMMAND_DESCRIPTORS;
    let free = descriptors_max().saturating_sub(commands + limits::OWN_DESCRIPTORS);
    settings.connections_max.min(free).max(1)
}

/// Settings that are valid but may be mistakes, at this time since 1970.
pub fn warnings(settings: &Settings, policy: &Policy, unix: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if unix < limits::CLOCK_MIN {
        warnings.push(
            "the clock of this host is not set, since it is before any build of this program: \
             every token is refused until it is"
                .to_owned(),
        );
    }
    if settings.cleartext {
        warnings.push(
            "ALLOW_CLEARTEXT=yes: every reader of the network can read the tokens".to_owned(),
        );
    }
    if zmq::has("corrections-of-zcmd") != Some(true) {
        warnings.push(
            "ALLOW_SYSTEM_LIBZMQ=yes, and this libzmq is not the one that zcmd builds: any peer \
             can crash this daemon, fill its memory and get the replies of others"
                .to_owned(),
        );
    }
    let connections = connections_max(settings);
    if connections < settings.connections_max {
        warnings.push(format!(
            "CONNECTIONS_MAX={}: the limit on open files (ulimit -n) leaves room for {connections}",
            settings.connections_max
        ));
    }
    if settings.rate.per_minute == 0 {
        warnings.push("MAX_REQUESTS_PER_MINUTE=0: callers are not limited".to_owned());
    }
    if settings.commands_file.is_none() {
        warnings.push("COMMANDS_FILE is not set: no command may run".to_owned());
    }
    if let (KeySource::Secret(_), Some(name)) = (&settings.keys, policy.commands.without_user()) {
        warnings.push(format!(
            "JWT_SECRET_KEY is in the environment, and command {name} runs as the daemon's own \
             user; use JWT_SECRET_KEY_FILE, or give it a user"
        ));
    }
    warnings.extend(misspelt(settings));
    for (name, program) in policy.commands.programs() {
        if !std::path::Path::new(program).exists() {
            warnings.push(format!("command {name}: there is no {program}"));
        }
    }
    warnings
}

/// Variables that are almost one of this program's, and have no effect.
fn misspelt(settings: &Settings) -> impl Iterator<Item = String> {
    let known = || settings.shown.iter().map(|(name, _)| *name);
    std::env::vars_os().filter_map(move |(name, _)| {
        let name = name.to_str()?;
        let meant = known().find(|known| is_typo(name, known))?;
        let is_known = known().any(|known| known == name);
        (!is_known).then(|| format!("the variable {name} has no effect; did you mean {meant}?"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::token::Keys;
    use crate::service::access::authority::Authority;

    #[test]
    fn a_clock_that_is_not_set_is_warned_of() {
        let settings = Settings::read(&|name| (name == "JWT_SECRET_KEY").then(|| "x".into()));
        let settings = settings.unwrap();
        let policy = Policy {
            authority: Authority {
                rules: settings.tokens.clone(),
                keys: Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap(),
                revoked: Default::default(),
                clients: None,
                roles: Default::default(),
            },
            commands: Default::default(),
        };
        for (unix, warned) in [(Duration::ZERO, true), (limits::CLOCK_MIN, false)] {
            let warnings = warnings(&settings, &policy, unix);
            assert_eq!(warnings.iter().any(|text| text.contains("clock")), warned);
        }
    }
}
