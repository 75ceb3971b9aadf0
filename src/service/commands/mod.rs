//! The commands that the owner has allowed, and the one way from a request to a program.
//!
//! Promises: no shell. `permit` is the only maker of an `Invocation`, and it asks for a `Caller`.
//! Leaves out: the reading of the file, which is `service::commands::file`, the making of the
//! arguments, which is `service::commands::arguments`, and the running.

pub mod arguments;
mod entry;
mod file;
mod keys;
pub mod list;
pub mod parameter;
mod parameters_file;
pub mod pattern;
mod text;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::port::{Execution, Invocation, RESOURCES};
use crate::protocol::request::Os;
use crate::service::access::caller::Caller;
use crate::service::commands::arguments::{Declared, Filled};
use crate::service::commands::parameter::Pass;
use crate::service::maths::similar;
use crate::service::refusal::Refusal;
use crate::service::settings::CommandLimits;

/// All commands, by name.
#[derive(Clone, Debug, Default)]
pub struct Commands(BTreeMap<String, Command>);

/// One entry of the commands file.
#[derive(Clone, Debug, Default)]
struct Command {
    /// Its file, line and column, for messages.
    place: String,
    about: Option<String>,
    /// The group that `os:GROUP.*` names.
    scope_group: Option<String>,
    /// Whether a request has to say that it is meant.
    confirm: bool,
    program: String,
    declared: Declared,
    execution: Rc<Execution>,
}

impl Command {
    /// Whether it is the same command, wherever its entry stands.
    fn is_same(&self, other: &Self) -> bool {
        let Self { place: _, about, scope_group, confirm, program, declared, execution } = self;
        (about, scope_group, confirm) == (&other.about, &other.scope_group, &other.confirm)
            && (program, declared) == (&other.program, &other.declared)
            && *execution == other.execution
    }
}

/// What a command needs on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need<'a> {
    /// A program that others cannot change.
    Program(&'a str),
    /// A user of this name or number.
    User(&'a str),
    /// A group of this name or number.
    Group(&'a str),
    /// A directory.
    Directory(&'a str),
}

/// A command that may run, with all that holds for it.
#[derive(Clone, Debug)]
pub struct Permit {
    /// What to start.
    pub invocation: Invocation,
    /// Its argument list as the log may show it: secrets masked.
    pub shown: Vec<String>,
    /// The parameters whose values the program does not get as they are in its arguments.
    pub passed: Vec<(Pass, String)>,
    /// How long it may run.
    pub timeout: Duration,
    /// Bytes that are kept of each of its streams.
    pub output_bytes_max: usize,
    /// Whether the request has to say that it is meant.
    pub confirm: bool,
    /// What else its entry says.
    pub execution: Rc<Execution>,
    /// The word of the token's scope that permits it.
    pub rule: String,
}

impl Serialize for Permit {
    /// What would run, as what and within which limits; secrets masked.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Execution { user, group, directory, grace, at_most, resources, .. } = &*self.execution;
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("argv", &self.shown)?;
        out.serialize_entry("rule", &self.rule)?;
        for (name, account) in [("user", user), ("group", group)] {
            account.iter().try_for_each(|account| out.serialize_entry(name, account))?;
        }
        out.serialize_entry("cwd", directory)?;
        out.serialize_entry("timeout_ms", &self.timeout.as_millis())?;
        out.serialize_entry("grace_ms", &grace.as_millis())?;
        out.serialize_entry("output_bytes_max", &self.output_bytes_max)?;
        at_most.iter().try_for_each(|count| out.serialize_entry("at_most", count))?;
        for (name, _) in RESOURCES {
            resources.get(name).iter().try_for_each(|most| out.serialize_entry(name, most))?;
        }
        if let Some(lock) = &self.execution.lock {
            out.serialize_entry("lock", lock)?;
        }
        if self.confirm {
            out.serialize_entry("confirm", &true)?;
        }
        if self.execution.leave_children {
            out.serialize_entry("leave_children", &true)?;
        }
        let ways = [("pass_fd", Pass::Fd), ("pass_stdin", Pass::Stdin), ("pass_env", Pass::Env)];
        for (key, way) in ways {
            let passed = self.passed.iter().filter(|(pass, _)| *pass == way);
            let names: Vec<&str> = passed.map(|(_, name)| name.as_str()).collect();
            if !names.is_empty() {
                out.serialize_entry(key, &names)?;
            }
        }
        out.end()
    }
}

impl Commands {
    /// Decides whether this caller may run this, and as what.
    ///
    /// # Errors
    /// Out of the token's scope, no such command, or a parameter that breaks its rule.
    pub fn permit(
        &self,
        caller: &Caller,
        limits: &CommandLimits,
        os: &Os,
    ) -> Result<Permit, Refusal> {
        let found = self.0.get(&os.name);
        let Some(word) = rule(caller, &os.name, found) else {
            return Err(caller.forbidden(format!("os:{}", os.name)));
        };
        let command = found.ok_or_else(|| {
            let own = self.0.iter().filter(|(name, own)| rule(caller, name, Some(own)).is_some());
            let meant = similar(os.name.as_bytes(), own.map(|(name, _)| name.as_str()));
            Refusal::UnknownCommand(os.name.clone(), meant.map(str::to_owned))
        })?;
        let Filled { arguments, shown, beneath, entries, passed, stdin, variables } =
            command.declared.fill(&os.parameters).map_err(Refusal::BadParameter)?;
        if !stdin.is_empty() && !os.stdin.is_empty() {
            let why = "standard input is for a secret parameter of this command; send no other";
            return Err(Refusal::BadParameter(why.to_owned()));
        }
        let execution = &command.execution;
        let own = execution.timeout.unwrap_or(limits.timeout);
        Ok(Permit {
            shown: std::iter::once(command.program.clone()).chain(shown).collect(),
            invocation: Invocation {
                program: command.program.clone(),
                arguments,
                beneath,
                entries,
                stdin: if stdin.is_empty() { os.stdin.clone() } else { stdin.into_bytes() },
                variables,
                stream: os.stream,
                execution: execution.clone(),
            },
            passed,
            timeout: os.timeout.map_or(own, |asked| asked.min(own)),
            output_bytes_max: execution.output_bytes_max.unwrap_or(limits.output_bytes_max),
            confirm: command.confirm,
            execution: execution.clone(),
            rule: word.to_owned(),
        })
    }

    /// The names that were added, removed and changed since `before`.
    pub fn changes(&self, before: &Self) -> [Vec<String>; 3] {
        let missing = |from: &Self, of: &Self| {
            of.0.keys().filter(|name| !from.0.contains_key(*name)).cloned().collect()
        };
        let changed = self.0.iter().filter(|(name, command)| {
            before.0.get(*name).is_some_and(|other| !command.is_same(other))
        });
        let changed = changed.map(|(name, _)| name.clone()).collect();
        [missing(before, self), missing(self, before), changed]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Bytes that are kept of one stream of any command, at most.
    pub fn output_bytes_max(&self, limits: &CommandLimits) -> usize {
        let own = self.0.values().filter_map(|command| command.execution.output_bytes_max);
        own.max().unwrap_or_default().max(limits.output_bytes_max)
    }

    /// The programs, each with the name of its command.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, command)| (name.as_str(), command.program.as_str()))
    }

    /// What all commands need on the machine, each with the place and the key that says so.
    pub fn needs(&self) -> impl Iterator<Item = (String, Need<'_>)> {
        self.0.iter().flat_map(|(name, command)| {
            let Execution { user, group, directory, .. } = &*command.execution;
            let own = [
                Some(("run[0]".to_owned(), Need::Program(&command.program))),
                user.as_deref().map(|user| ("user".to_owned(), Need::User(user))),
                group.as_deref().map(|group| ("group".to_owned(), Need::Group(group))),
                Some(("cwd".to_owned(), Need::Directory(directory))),
            ];
            let parameters = command.declared.parameters.iter().enumerate();
            let directories = parameters.filter_map(|(index, parameter)| {
                let (key, directory) = parameter.kind.directory()?;
                Some((format!("parameters[{index}].{key}"), Need::Directory(directory)))
            });
            let needs = own.into_iter().flatten().chain(directories);
            needs.map(move |(key, need)| (format!("{}: {name}.{key}", command.place), need))
        })
    }

    /// The first command that runs as the daemon's own user.
    pub fn without_user(&self) -> Option<&str> {
        let mut commands = self.0.iter();
        commands
            .find(|(_, command)| command.execution.user.is_none())
            .map(|(name, _)| name.as_str())
    }
}

/// The word of the caller's scope that permits a command: for its name, or for its group.
fn rule<'a>(caller: &'a Caller, name: &str, command: Option<&Command>) -> Option<&'a str> {
    let group = command.and_then(|command| command.scope_group.as_deref());
    let of_group = || caller.rule(&format!("os:{}.*", group?));
    caller.rule(&format!("os:{name}")).or_else(of_group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Commands {
        Commands::parse(
            r#"{
              "tail": {
                "run": ["/usr/bin/tail", "--lines={n}", "--", "{file}"],
                "parameters": [
                  {"name": "n", "type": "integer", "min": 1, "max": 10},
                  {"name": "file", "type": "path", "under": "/var/log", "repeat": 3}
                ],
                "timeout_seconds": 5, "env": {"LANG": "C", "TZ": "UTC"}
              },
              "login": {
                "run": ["/bin/login", "--password={p}", "{user}"],
                "parameters": [
                  {"name": "p", "type": "text", "max_bytes": 20, "secret": true},
                  {"name": "user", "type": "word", "max_bytes": 8, "default": "guest"}
                ]
              }
            }"#,
        )
        .unwrap()
    }

    fn ask(name: &str, parameters: &[&str]) -> Os {
        let parameters = parameters.iter().map(|value| (*value).to_owned()).collect();
        Os { name: name.into(), parameters, ..Os::default() }
    }

    #[test]
    fn a_permit_holds_the_argument_list_and_nothing_is_split() {
        let caller = Caller::imagined("os:*");
        let permit = commands().permit(
            &caller,
            &CommandLimits::default(),
            &ask("tail", &["5", "a b;c", "d"]),
        );
        let permit = permit.unwrap();
        let arguments = ["--lines=5", "--", "/var/log/a b;c", "/var/log/d"];
        assert_eq!(permit.invocation.arguments, arguments);
        assert_eq!(permit.invocation.beneath.len(), 2);
        assert_eq!(permit.timeout, Duration::from_secs(5));
        let environment = [("LANG", "C"), ("PATH", "/usr/bin:/bin"), ("TZ", "UTC")]
            .map(|(n, v)| (n.into(), v.into()));
        assert_eq!(permit.execution.environment, environment.into());

        let shorter = Os { timeout: Some(Duration::from_secs(1)), ..ask("tail", &["5", "a"]) };
        let longer = Os { timeout: Some(Duration::from_secs(99)), ..shorter.clone() };
        for (os, seconds) in [(shorter, 1), (longer, 5)] {
            let permit = commands().permit(&caller, &CommandLimits::default(), &os).unwrap();
            assert_eq!(permit.timeout, Duration::from_secs(seconds), "lowered, never raised");
        }
    }

    #[test]
    fn secrets_reach_the_command_and_not_the_log() {
        let caller = Caller::imagined("os:login");
        let permit = commands()
            .permit(&caller, &CommandLimits::default(), &ask("login", &["hush"]))
            .unwrap();
        assert_eq!(permit.invocation.arguments, ["--password=hush", "guest"]);
        assert_eq!(permit.shown, ["/bin/login", "--password=***", "guest"]);
    }

    #[test]
    fn a_group_is_reached_by_its_own_word_alone() {
        let commands = Commands::parse(
            r#"{"b.run": {"run": ["/x"], "scope_group": "backup", "confirm": true},
                "backup": {"run": ["/x"]}, "backup.x": {"run": ["/x"], "scope_group": "a.b"}}"#,
        )
        .unwrap();
        let cases = [
            ("os:backup.*", &["b.run"][..]),
            ("compute os:a.b.* os:backup", &["backup", "backup.x"]),
            ("os:b.* os:a.* os:*.* os:.* os:backup.x*", &[]),
            ("os:*", &["b.run", "backup", "backup.x"]),
        ];
        for (scope, wanted) in cases {
            let caller = Caller::imagined(scope);
            let listed = commands.list(&caller).commands;
            assert_eq!(listed.iter().map(|own| own.name).collect::<Vec<_>>(), wanted, "{scope}");
            for name in ["b.run", "backup", "backup.x", "none"] {
                let permit = commands.permit(&caller, &CommandLimits::default(), &ask(name, &[]));
                assert_eq!(permit.is_ok(), wanted.contains(&name), "{scope} {name}");
            }
        }
        let caller = Caller::imagined("os:backup.*");
        let permit =
            commands.permit(&caller, &CommandLimits::default(), &ask("b.run", &[])).unwrap();
        assert_eq!((permit.rule.as_str(), permit.confirm), ("os:backup.*", true));
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        let cases: &[(&str, &str, &[&str], &str)] = &[
            ("os:login", "tail", &[], "os:tail"),
            ("os:login", "none", &[], "os:none"),
            ("os:*", "none", &[], "none"),
            ("os:*", "tail", &[], "parameter n is missing"),
            ("os:*", "tail", &["1"], "parameter file is missing"),
            (
                "os:*",
                "tail",
                &["1", "a", "b", "c", "d"],
                "too many values, by 1: this command takes 4 at most",
            ),
            ("os:*", "tail", &["5 --evil", "a"], "parameter n: must be an integer from 1 to 10"),
            ("os:*", "tail", &["1", "../../etc/shadow"], "parameter file: must be a path beneath"),
            (
                "os:*",
                "login",
                &["x", "--config"],
                "parameter user: must not make an argument begin with -",
            ),
        ];
        for (scope, name, parameters, wanted) in cases {
            let caller = Caller::imagined(scope);
            let refusal = commands()
                .permit(&caller, &CommandLimits::default(), &ask(name, parameters))
                .unwrap_err();
            let text = match refusal {
                Refusal::Forbidden(text) => text,
                Refusal::UnknownCommand(text, _) => text,
                Refusal::BadParameter(text) => text,
                other => format!("{other:?}"),
            };
            assert!(text.starts_with(wanted), "{text}");
        }
    }

    #[test]
    fn a_list_shows_what_the_token_may_run_and_no_secret_default() {
        let commands = commands();
        let listed = commands.list(&Caller::imagined("os:login"));
        assert_eq!(
            String::from_utf8(crate::protocol::encode(&listed)).unwrap(),
            r#"{"compute":false,"commands":[{"name":"login","parameters":[{"name":"p","type":"text","max_bytes":20,"secret":true},{"name":"user","type":"word","max_bytes":8,"default":"guest"}]}]}"#
        );
    }
}
