//! The client's command line: arguments in, one task out.
//!
//! Promises: a command line that is wrong is answered with one line, and with exit status 125. What
//! looks like a slip of the pen is told with the word that was meant; nothing is taken for it.
//! Leaves out: everything else; see `zcmd::client`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use zcmd::client::batch::Batch;
use zcmd::client::configure::Action;
use zcmd::client::each::Each;
use zcmd::client::files::{Files, Job};
use zcmd::client::named::Named;
use zcmd::client::settings::Given;
use zcmd::client::{Task, external, help, lines, requests, run, status, text, trace, variables};
use zcmd::limits;
use zcmd::protocol::request::{Ask, Os};
use zcmd::service::maths::{REFERENCE, is_typo, similar};

/// The subcommands whose answers are tables for people, and JSON for programs.
const TABLES: [&str; 5] = ["list", "status", "jobs", "ping", "whoami"];

/// A command line as far as it was read.
#[derive(Default)]
struct Line {
    given: Given,
    subcommand: Option<String>,
    operands: Vec<String>,
    lets: Vec<(String, String)>,
    columns: Option<Vec<String>>,
    /// Parameters of a command, by name.
    named: Named,
    stdin: bool,
    hosts_file: Option<String>,
    at_most: Option<usize>,
    stop_after: Option<usize>,
    command: Option<String>,
    /// Numbers of jobs.
    jobs: Vec<u64>,
    /// How often, in milliseconds.
    watch: Option<u64>,
    /// `--output`.
    format: Option<String>,
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
            text::fail(&failure);
            failure.status
        }
        Ok(line) => {
            warn_of_variables();
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

/// A variable that is almost one of ours has no effect, and was perhaps meant to have one.
fn warn_of_variables() {
    let known = || help::SETTINGS.iter().map(|setting| setting.variable);
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if !known().any(|known| known == name)
            && let Some(meant) = known().find(|known| is_typo(name, known))
        {
            text::diagnose(&format!("the variable {name} has no effect; did you mean {meant}?"));
        }
    }
}

fn refuse(error: &str) -> u8 {
    text::error(status::USAGE, &format!("{error} (see zcmd --help)"));
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
                Short(letter) => line.option(&format!("-{letter}"), &mut parser)?,
                Long(name) => {
                    let name = format!("--{name}");
                    line.option(&name, &mut parser)?;
                }
            }
        }
    }

    /// Takes an option that sets something.
    fn option(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), lexopt::Error> {
        let known = help::SETTINGS.iter().find(|setting| setting.names().any(|n| n == name));
        let Some(known) = known else { return Err(self.unknown(name).into()) };
        let is_taken = known.only.iter().any(|subcommand| self.is(subcommand))
            && (name != "--let" || self.evaluates())
            && (!["-p", "--parameter", "--yes"].contains(&name) || self.runs_command());
        if !known.only.is_empty() && !is_taken {
            let only = known.only.join(" and ");
            return Err(format!("{name} is an option of {only}, and comes after that").into());
        }
        let mut once = |place: &mut Option<String>| {
            let hint =
                if name == "--server" { "; give several addresses as --server A,B" } else { "" };
            if place.is_some() {
                return Err(format!("{name} is given twice{hint}").into());
            }
            *place = Some(parser.value()?.string()?);
            Ok::<_, lexopt::Error>(())
        };
        match name {
            "-H" | "--host" => once(&mut self.given.host)?,
            "--server" => once(&mut self.given.server)?,
            "--token-file" => once(&mut self.given.token_file)?,
            "--timeout" => once(&mut self.given.timeout)?,
            "--id" => once(&mut self.given.id)?,
            "--retry" => once(&mut self.given.retry)?,
            "-o" | "--output" => {
                once(&mut self.format)?;
                self.given.json |= self.format.as_deref() == Some("json");
            }
            "-q" | "--quiet" => text::silence(),
            "-v" | "--verbose" => trace::begin(),
            "--json" => self.given.json = true,
            "--explain" => self.given.explain = true,
            "--stdin" => self.stdin = true,
            "--yes" => self.yes = true,
            "-p" | "--parameter" => {
                self.named.add(&parser.value()?.string()?)?;
            }
            "--job" => {
                let text = parser.value()?.string()?;
                let number = text.parse();
                self.jobs.push(number.map_err(|_| format!("--job {text}: expected a number"))?);
            }
            "--watch" => {
                let seconds = parser.optional_value().map(|text| text.string()).transpose()?;
                self.watch = Some(requests::interval(seconds.as_deref().unwrap_or("1"))?);
            }
            "--command" => once(&mut self.command)?,
            "--hosts" => once(&mut self.hosts_file)?,
            "--at-most" => {
                let max = limits::EACH_AT_ONCE_MAX;
                self.at_most = Some(count(name, &parser.value()?.string()?, max)?);
            }
            "--stop-after" => {
                let max = limits::EACH_HOSTS_MAX;
                self.stop_after = Some(count(name, &parser.value()?.string()?, max)?);
            }
            "--let" => self.lets.push(variables::assignment(&parser.value()?.string()?)?),
            "--let-columns" => {
                self.columns = Some(variables::columns(&parser.value()?.string()?)?);
            }
            _ => return Err(self.unknown(name).into()),
        }
        Ok(())
    }

    /// What to say of an option that is none.
    fn unknown(&self, name: &str) -> String {
        let mine = |only: &[&str]| only.is_empty() || only.iter().any(|name| self.is(name));
        let known = help::SETTINGS.iter().filter(|setting| mine(setting.only));
        let known = known.flat_map(help::Setting::names).filter(|name| name.starts_with("--"));
        let meant = match name.strip_prefix("--") {
            Some(word) => similar(word.as_bytes(), known.map(|name| name.trim_start_matches('-'))),
            None => None,
        };
        match meant {
            Some(meant) => format!("unknown option {name:?}: did you mean --{meant}?"),
            None => format!("unknown option {name:?}"),
        }
    }

    /// What `zcmd help` prints without a daemon; none if it is asked for a command of the host.
    fn own_help(&self) -> Option<String> {
        let name = match self.operands.as_slice() {
            [] => None,
            [name] if help::is_subcommand(name) => Some(name.as_str()),
            _ => return None,
        };
        self.is("help").then(|| help_on(name))
    }

    /// Whether the answer has the form that is asked for.
    fn check_format(&self, subcommand: &str) -> Result<(), String> {
        match self.format.as_deref() {
            None => Ok(()),
            Some("table" | "json") if TABLES.contains(&subcommand) => Ok(()),
            Some("table" | "json") => Err(format!(
                "{subcommand} has no table; -o is for {}, and --json for every reply",
                TABLES.join(", ")
            )),
            Some(other) => Err(format!("-o {other}: write -o table or -o json")),
        }
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
        let subcommand =
            self.subcommand.clone().ok_or("a subcommand is missing: zcmd SUBCOMMAND")?;
        self.check_format(&subcommand)?;
        let from_stdin = self.given.token_file.as_deref() == Some("-");
        let both = "standard input cannot be both the token and the input";
        let value_is_stdin = self.named.reads_stdin();
        if from_stdin && (self.stdin || self.is("menu")) {
            return Err(both.into());
        }
        if value_is_stdin && (from_stdin || self.stdin) {
            return Err("-p NAME@-: standard input has another use already".into());
        }
        let mut operands = self.operands.into_iter();
        let task = match subcommand.as_str() {
            "compute" => Task::Ask(requests::compute(operands.by_ref(), self.lets)?),
            "os" => {
                let os = requests::os(operands.by_ref(), self.named.read()?, self.yes)?;
                let Given { json, explain, .. } = self.given;
                let os = Os { stream: !json && !explain, explain, ..os };
                if !self.stdin && !from_stdin && !value_is_stdin && lines::is_offered() {
                    text::diagnose("standard input is not sent; os --stdin NAME sends it");
                }
                if self.stdin { Task::AskWithInput(os) } else { Task::Ask(Ask::Os(os)) }
            }
            "list" => operands.next().map_or(Task::Ask(Ask::List), Task::Page),
            "help" => Task::Page(operands.next().ok_or("help: a name is missing")?),
            "ping" => Task::Ask(Ask::Ping),
            "status" => Task::Ask(requests::watched("status", Ask::Status, self.watch)),
            "jobs" => Task::Ask(requests::watched("jobs", Ask::Jobs, self.watch)),
            "cancel" => Task::Cancel(requests::cancel(operands.by_ref(), self.jobs)?),
            name @ ("facts" | "ls" | "get" | "put") => {
                Task::Files(Files { command: self.command, job: job(name, operands.by_ref())? })
            }
            "menu" => Task::Menu(names()),
            "batch" => {
                let expression = self.columns.as_ref().and_then(|_| operands.next());
                let file = operands.next().filter(|file| file != "-");
                if from_stdin && file.is_none() {
                    return Err(both.into());
                }
                Task::Batch(batch(self.lets, self.columns, expression, file)?)
            }
            "each" => {
                let Given { server, retry, .. } = &self.given;
                if from_stdin || server.is_some() || retry.is_some() {
                    let what =
                        "each: takes neither --server, --retry nor a token of standard input";
                    return Err(what.into());
                }
                let (given, lets, named) = (self.given, self.lets, self.named.read()?);
                let ask =
                    requests::of_each(operands.by_ref(), lets, named, self.yes, given.explain)?;
                Task::Each(Each {
                    file: self.hosts_file,
                    at_most: self.at_most.unwrap_or(limits::EACH_AT_ONCE_MAX),
                    stop_after: self.stop_after,
                    ask,
                })
            }
            "config" => Task::Config(config(operands.by_ref())?),
            "whoami" => Task::Whoami,
            "keygen" => Task::Keygen(operands.next().ok_or("keygen: a file is missing")?),
            other => return Err(unknown_subcommand(other)),
        };
        match operands.next() {
            Some(surplus) => Err(format!("{subcommand}: one argument too many: {surplus:?}")),
            None => Ok(task),
        }
    }
}

fn config(operands: &mut impl Iterator<Item = String>) -> Result<Action, String> {
    match (operands.next().as_deref(), operands.next()) {
        (Some("check"), None) => Ok(Action::Check),
        (Some("add"), Some(name)) => Ok(Action::Add(name)),
        _ => Err("config: write config check, or config add NAME".into()),
    }
}

/// The number of an option, from 1 to `max`.
fn count(option: &str, text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(format!("{option} {text}: expected a number, 1 to {max}")),
    }
}

/// What a subcommand does with the files of a host.
fn job(subcommand: &str, operands: &mut impl Iterator<Item = String>) -> Result<Job, String> {
    Ok(match (subcommand, operands.next()) {
        ("facts", None) => Job::Facts,
        ("facts", Some(surplus)) => {
            return Err(format!("facts: one argument too many: {surplus:?}"));
        }
        ("ls", path) => Job::List(path),
        ("get", Some(remote)) => Job::Get { remote, local: operands.next() },
        ("get", None) => return Err("get: a file of the host is missing".into()),
        (_, local) => match (local, operands.next()) {
            (Some(local), Some(remote)) => Job::Put { local, remote },
            _ => return Err("put: a file, and its path on the host, as in put a b".into()),
        },
    })
}

fn batch(
    variables: Vec<(String, String)>,
    columns: Option<Vec<String>>,
    expression: Option<String>,
    file: Option<String>,
) -> Result<Batch, String> {
    let rows = match (columns, expression) {
        (Some(names), Some(expression)) => Some((names, expression)),
        (Some(_), None) => return Err("batch: --let-columns needs an expression".into()),
        (None, _) => None,
    };
    Ok(Batch { variables, rows, file })
}

fn unknown_subcommand(name: &str) -> String {
    let external = external::names();
    let known = help::SUBCOMMANDS.iter().map(|subcommand| subcommand.name);
    let known = known.chain(external.iter().map(String::as_str));
    match similar(name.as_bytes(), known) {
        Some(meant) => format!("unknown subcommand {name:?}: did you mean {meant}?"),
        None => format!("unknown subcommand {name:?}"),
    }
}

/// The names of more than one letter that an expression may use.
fn names() -> Vec<String> {
    let name = |form: &'static str| form.split(|c: char| !c.is_ascii_alphanumeric()).next();
    let is_name = |name: &&str| name.len() > 1 && name.starts_with(|c: char| c.is_alphabetic());
    REFERENCE.iter().filter_map(|e| name(e.form)).filter(is_name).map(str::to_owned).collect()
}

/// The program for a subcommand that is not of this one, and all arguments but the name.
fn program(
    name: &str,
    parser: &mut lexopt::Parser,
) -> Result<Option<(PathBuf, Vec<OsString>)>, lexopt::Error> {
    if help::is_subcommand(name) {
        return Ok(None);
    }
    let Some(path) = external::find(name) else { return Ok(None) };
    let after: Vec<OsString> = parser.raw_args()?.collect();
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    arguments.truncate(arguments.len().saturating_sub(after.len() + 1));
    arguments.extend(after);
    Ok(Some((path, arguments)))
}
