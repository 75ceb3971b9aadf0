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
use zcmd::client::settings::{self, Given};
use zcmd::client::{Task, external, help, run, status, text, variables};
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
                // The client's own subcommands need no daemon to be explained.
                if line.is("help") {
                    let own = |name: &&String| help::SUBCOMMANDS.contains(&name.as_str());
                    let name = line.operands.first();
                    if name.is_none() || name.filter(own).is_some() {
                        line.print = Some(help_on(name.map(String::as_str)));
                    }
                }
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
                    if line.is("os") {
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
                Short('p') | Long("parameter") if line.is("os") => {
                    let (name, value) = variables::parameter(&parser.value()?.string()?)?;
                    line.named.entry(name).or_default().push(value);
                }
                Long("yes") if line.is("os") => line.yes = true,
                Long("stdin") if line.is("os") => line.stdin = true,
                Long("let") if line.is("compute") || line.is("batch") => {
                    line.lets.push(variables::assignment(&parser.value()?.string()?)?);
                }
                Long("let-columns") if line.is("batch") => {
                    line.columns = Some(variables::columns(&parser.value()?.string()?)?);
                }
                other => return Err(other.unexpected()),
            }
        }
    }

    fn is(&self, subcommand: &str) -> bool {
        self.subcommand.as_deref() == Some(subcommand)
    }

    /// An expression that begins with a minus sign, which is no option: `-2^2`.
    fn dashed(&self, parser: &mut lexopt::Parser) -> Option<OsString> {
        if !self.is("compute") && !self.is("batch") {
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
            "compute" => {
                let expression = operands.by_ref().collect::<Vec<_>>().join(" ");
                if expression.is_empty() {
                    return Err("compute: an expression is missing, as in zcmd compute 1+2".into());
                }
                Task::Ask(Ask::Compute { expression, variables: self.lets })
            }
            "os" => {
                let name = operands.next().ok_or("os: a command is missing; see zcmd list")?;
                let ordered = operands.by_ref().collect();
                let parameters = Values { ordered, named: self.named };
                let (stream, confirmed) = (!self.given.json, self.yes);
                let os = Os { name, parameters, stream, confirmed, ..Os::default() };
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
            "menu" => Task::Menu,
            "batch" => {
                let rows = match (self.columns, operands.next()) {
                    (Some(names), Some(expression)) => Some((names, expression)),
                    (None, None) => None,
                    (Some(_), None) => {
                        return Err("batch: --let-columns needs an expression".into());
                    }
                    (None, Some(_)) => {
                        return Err("batch: expressions come from standard input, one a line; \
                                    or name the columns of its rows with --let-columns"
                            .into());
                    }
                };
                Task::Batch(Batch { variables: self.lets, rows })
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
