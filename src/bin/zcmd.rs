//! The client's command line: arguments in, one task out.
//!
//! Promises: a command line that is wrong is answered with one line, and with exit status 125.
//! Leaves out: everything else; see `zcmd::client`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use zcmd::client::batch::Batch;
use zcmd::client::each::Each;
use zcmd::client::files::{Files, Job};
use zcmd::client::settings::{self, Given};
use zcmd::client::{Task, external, help, lines, run, status, text, variables};
use zcmd::limits;
use zcmd::protocol::request::{Ask, Os, Values};
use zcmd::service::maths::REFERENCE;

/// A command line as far as it was read.
#[derive(Default)]
struct Line {
    given: Given,
    subcommand: Option<String>,
    operands: Vec<String>,
    lets: Vec<(String, String)>,
    columns: Option<Vec<String>>,
    /// Parameters of a command, by name.
    named: BTreeMap<String, Vec<String>>,
    stdin: bool,
    hosts_file: Option<String>,
    at_most: Option<usize>,
    stop_after: Option<usize>,
    command: Option<String>,
    yes: bool,
    /// A program that does it, and its arguments.
    external: Option<(PathBuf, Vec<OsString>)>,
    /// What to print instead of doing anything.
    print: Option<String>,
}

fn main() -> ExitCode {
    let status = match Line::read(lexopt::Parser::from_env()) {
        Ok(Line { print: Some(text), .. }) => print(&text),
        Ok(Line { external: Some((path, arguments)), .. }) => {
            let failure = external::become_program(&path, arguments);
            text::diagnose(&failure.message);
            failure.status
        }
        Ok(line) => {
            let given = line.given.clone();
            match line.task() {
                Ok(task) => run(task, &given),
                Err(error) => refuse(&error),
            }
        }
        Err(error) => refuse(&error.to_string()),
    };
    ExitCode::from(status)
}

fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => status::DONE,
        Err(error) => text::unwritten(&error).status,
    }
}

/// The help on a subcommand, or on all.
fn help_on(subcommand: Option<&str>) -> String {
    let reference = REFERENCE.iter().map(|e| [e.form, e.about, e.example, e.result]);
    help::text(subcommand, reference, external::names())
}

fn refuse(error: &str) -> u8 {
    text::diagnose(&format!("{error} (see zcmd --help)"));
    status::REFUSED
}

impl Line {
    fn read(mut parser: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut line = Self::default();
        loop {
            if let Some(operand) = line.dashed(&mut parser) {
                line.operands.push(operand.string()?);
                continue;
            }
            let Some(argument) = parser.next()? else {
                line.print = line.own_help();
                return Ok(line);
            };
            match argument {
                Value(value) if line.subcommand.is_none() => {
                    let name = value.string()?;
                    line.external = program(&name, &mut parser)?;
                    if line.external.is_some() {
                        return Ok(line);
                    }
                    line.subcommand = Some(name);
                }
                Value(value) => {
                    line.operands.push(value.string()?);
                    if line.names_command() {
                        line.parameters(&mut parser)?;
                    }
                }
                Short('h') | Long("help") => {
                    line.print = Some(help_on(line.subcommand.as_deref()));
                    return Ok(line);
                }
                Short('V') | Long("version") => {
                    line.print = Some(format!("zcmd {}\n", env!("CARGO_PKG_VERSION")));
                    return Ok(line);
                }
                Long("server") => line.given.server = Some(parser.value()?.string()?),
                Long("token-file") => line.given.token_file = Some(parser.value()?.string()?),
                Long("timeout") => line.given.timeout = Some(parser.value()?.string()?),
                Long("id") => line.given.id = Some(parser.value()?.string()?),
                Long("json") => line.given.json = true,
                Long("explain") => line.given.explain = true,
                Short(letter) => line.own_option(&format!("-{letter}"), &mut parser)?,
                Long(name) => {
                    let name = format!("--{name}");
                    line.own_option(&name, &mut parser)?;
                }
            }
        }
    }

    /// The options that only some subcommands take.
    fn own_option(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), lexopt::Error> {
        let mut value = || parser.value()?.string();
        match name {
            "-p" | "--parameter" if self.runs_command() => {
                let (name, value) = variables::parameter(&value()?)?;
                self.named.entry(name).or_default().push(value);
            }
            "--yes" if self.runs_command() => self.yes = true,
            "--stdin" if self.is("os") => self.stdin = true,
            "--command" if ["facts", "ls", "get", "put"].iter().any(|name| self.is(name)) => {
                self.command = Some(value()?);
            }
            "--let" if self.evaluates() => self.lets.push(variables::assignment(&value()?)?),
            "--let-columns" if self.is("batch") => {
                self.columns = Some(variables::columns(&value()?)?);
            }
            "-H" | "--host" if self.is("each") => self.given.host = Some(value()?),
            "--hosts" if self.is("each") => self.hosts_file = Some(value()?),
            "--at-most" if self.is("each") => {
                self.at_most = Some(count(name, &value()?, limits::EACH_AT_ONCE_MAX)?);
            }
            "--stop-after" if self.is("each") => {
                self.stop_after = Some(count(name, &value()?, limits::EACH_HOSTS_MAX)?);
            }
            other => return Err(lexopt::Error::UnexpectedOption(other.to_owned())),
        }
        Ok(())
    }

    /// The text of `help` for a subcommand of the client itself, which needs no daemon.
    fn own_help(&self) -> Option<String> {
        let name = self.operands.first().map(String::as_str);
        let is_own = name.is_none_or(|name| help::SUBCOMMANDS.contains(&name));
        (self.is("help") && is_own).then(|| help_on(name))
    }

    fn is(&self, subcommand: &str) -> bool {
        self.subcommand.as_deref() == Some(subcommand)
    }

    /// Whether the last operand is the name of a command.
    fn names_command(&self) -> bool {
        match self.operands.as_slice() {
            [_] => self.is("os"),
            [os, _] => self.is("each") && os == "os",
            _ => false,
        }
    }

    /// Whether the options of a command may come.
    fn runs_command(&self) -> bool {
        let of_each = self.operands.first().is_some_and(|what| what == "os");
        self.is("os") || self.is("each") && of_each
    }

    /// Whether expressions and variables may come.
    fn evaluates(&self) -> bool {
        let of_each = self.operands.first().is_some_and(|what| what == "compute");
        self.is("compute") || self.is("batch") || self.is("each") && of_each
    }

    /// An expression that begins with a minus sign, which is no option: `-2^2`.
    fn dashed(&self, parser: &mut lexopt::Parser) -> Option<OsString> {
        if !self.evaluates() {
            return None;
        }
        parser.try_raw_args()?.next_if(|argument| match argument.as_encoded_bytes() {
            b"-h" | b"-V" => false,
            [b'-', second, ..] => *second != b'-',
            _ => false,
        })
    }

    /// After the name of a command everything is a parameter.
    fn parameters(&mut self, parser: &mut lexopt::Parser) -> Result<(), lexopt::Error> {
        let mut rest = parser.raw_args()?;
        rest.next_if(|argument| argument == "--");
        for argument in rest {
            self.operands.push(argument.string()?);
        }
        Ok(())
    }

    fn task(self) -> Result<Task, String> {
        let subcommand = self.subcommand.clone().ok_or("what is to be done? zcmd SUBCOMMAND")?;
        let from_stdin = self.given.token_file.as_deref() == Some("-");
        if from_stdin && (self.stdin || self.is("batch") || self.is("menu")) {
            return Err("standard input cannot be both the token and the input".into());
        }
        let mut operands = self.operands.into_iter();
        let task = match subcommand.as_str() {
            "compute" => Task::Ask(compute(operands.by_ref(), self.lets)?),
            "os" => {
                let os = os(operands.by_ref(), self.named, self.yes)?;
                let os = Os { stream: !self.given.json, ..os };
                if !self.stdin && !from_stdin && lines::is_offered() {
                    text::diagnose("standard input is not sent; os --stdin NAME sends it");
                }
                if self.stdin { Task::AskWithInput(os) } else { Task::Ask(Ask::Os(os)) }
            }
            "list" => operands.next().map_or(Task::Ask(Ask::List), Task::Page),
            "help" => Task::Page(operands.next().ok_or("help: a name is missing")?),
            "ping" => Task::Ask(Ask::Ping),
            "status" => Task::Ask(Ask::Status),
            "cancel" => {
                let target = operands.next().ok_or("cancel: an id is missing")?;
                Task::Ask(Ask::Cancel { target: settings::id(&target)? })
            }
            "facts" => files(self.command, Job::Facts),
            "ls" => files(self.command, Job::List(operands.next())),
            "get" => {
                let remote = operands.next().ok_or("get: a file of the host is missing")?;
                files(self.command, Job::Get { remote, local: operands.next() })
            }
            "put" => match (operands.next(), operands.next()) {
                (Some(local), Some(remote)) => files(self.command, Job::Put { local, remote }),
                _ => return Err("put: a file, and its path on the host, as in put a b".into()),
            },
            "menu" => Task::Menu,
            "batch" => {
                let rows = rows(self.columns, operands.next())?;
                Task::Batch(Batch { variables: self.lets, rows })
            }
            "each" => {
                if from_stdin || self.given.server.is_some() {
                    return Err("each: takes neither --server nor a token of standard input".into());
                }
                let flags = (self.yes, self.given.explain);
                Task::Each(Each {
                    file: self.hosts_file,
                    at_most: self.at_most.unwrap_or(limits::EACH_AT_ONCE),
                    stop_after: self.stop_after,
                    ask: ask_of_each(operands.by_ref(), self.lets, self.named, flags)?,
                })
            }
            "keygen" => Task::Keygen(operands.next().ok_or("keygen: a file is missing")?),
            other => return Err(format!("unknown subcommand {other:?}")),
        };
        match operands.next() {
            Some(surplus) => Err(format!("{subcommand}: one argument too many: {surplus:?}")),
            None => Ok(task),
        }
    }
}

/// The request for the value of an expression, of which these are the parts.
fn compute(
    parts: impl Iterator<Item = String>,
    variables: Vec<(String, String)>,
) -> Result<Ask, String> {
    let expression = parts.collect::<Vec<_>>().join(" ");
    match expression.is_empty() {
        true => Err("compute: an expression is missing, as in zcmd compute 1+2".into()),
        false => Ok(Ask::Compute { expression, variables }),
    }
}

/// The command of these operands.
fn os(
    mut operands: impl Iterator<Item = String>,
    named: BTreeMap<String, Vec<String>>,
    confirmed: bool,
) -> Result<Os, String> {
    let name = operands.next().ok_or("os: a command is missing; see zcmd list")?;
    let parameters = Values { ordered: operands.collect(), named };
    Ok(Os { name, parameters, confirmed, ..Os::default() })
}

/// The request of `each` for all its hosts; a command may be confirmed, or only explained.
fn ask_of_each(
    mut operands: impl Iterator<Item = String>,
    variables: Vec<(String, String)>,
    named: BTreeMap<String, Vec<String>>,
    (confirmed, explain): (bool, bool),
) -> Result<Ask, String> {
    match operands.next().as_deref() {
        Some("compute") => compute(operands, variables),
        Some("os") => {
            let os = os(operands, named, confirmed)?;
            Ok(Ask::Os(Os { stream: !explain, explain, ..os }))
        }
        _ => Err("each: write each os NAME or each compute EXPRESSION".into()),
    }
}

/// The names of the columns of `batch`, and the expression for each of its rows.
fn rows(
    columns: Option<Vec<String>>,
    expression: Option<String>,
) -> Result<Option<(Vec<String>, String)>, String> {
    match (columns, expression) {
        (Some(names), Some(expression)) => Ok(Some((names, expression))),
        (None, None) => Ok(None),
        (Some(_), None) => Err("batch: --let-columns needs an expression".into()),
        (None, Some(_)) => Err("batch: expressions come from standard input, one a line; \
                                or name the columns of its rows with --let-columns"
            .into()),
    }
}

/// The number of an option, from 1 to `max`.
fn count(option: &str, text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(format!("{option} {text}: expected a number, 1 to {max}")),
    }
}

fn files(command: Option<String>, job: Job) -> Task {
    Task::Files(Files { command, job })
}

/// The program for a subcommand that is not of this one, and all arguments but the name.
fn program(
    name: &str,
    parser: &mut lexopt::Parser,
) -> Result<Option<(PathBuf, Vec<OsString>)>, lexopt::Error> {
    if help::SUBCOMMANDS.contains(&name) {
        return Ok(None);
    }
    let Some(path) = external::find(name) else { return Ok(None) };
    let after: Vec<OsString> = parser.raw_args()?.collect();
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    arguments.truncate(arguments.len().saturating_sub(after.len() + 1));
    arguments.extend(after);
    Ok(Some((path, arguments)))
}
