//! `zcmd-tool`: facts and files of a host without a shell, as commands of `zcmdd`.
//!
//! Promises: what the owner's command line fixes (directory, mode, program) no caller changes. A
//! wrong command line ends with 2, anything that is refused or fails with 1 and one line on
//! standard error. Leaves out: rights and limits, which are those of the entry in the commands file.

mod beneath;
mod facts;
mod list;
mod read;
mod write;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use lexopt::prelude::*;

use crate::beneath::Directory;
use crate::read::Part;
use crate::write::{Old, Order, Whole};

/// Bytes that are read and written at a time.
const CHUNK: usize = 64 * 1024;

const HELP: &str = "\
zcmd-tool: facts and files of a host, for entries of the commands file of zcmdd

  zcmd-tool facts                          what the host is and how it is, as JSON
  zcmd-tool list --under DIR [PATH]        what is in a directory, as JSON
  zcmd-tool read --under DIR FILE          its bytes; JSON about them on standard error
      --offset N, --length N               a part of it
      --print sum                          the JSON only
  zcmd-tool write --under DIR FILE         standard input becomes the file
      --mode MODE                          of the new file, octal (0600)
      --backup                             keep the old one as FILE.bak
      --validate PROGRAM                   PROGRAM PATH must exit with 0 before the file is replaced
      --if-sha256 SUM                      only if the old file has this sum; none: if there is none
      --sha256 SUM --size N --offset N     standard input is a piece of this whole
  --hard-links                             take files that have more than one name

FILE and PATH lead to nothing outside of DIR.
";

/// Everything that a command line says.
#[derive(Default)]
struct Line {
    operands: Vec<String>,
    under: Option<String>,
    hard_links: bool,
    offset: Option<u64>,
    length: Option<u64>,
    sum: bool,
    mode: Option<u32>,
    backup: bool,
    validate: Option<String>,
    if_sha256: Option<String>,
    sha256: Option<String>,
    size: Option<u64>,
}

/// Why there is no result, with the exit status.
type Failure = (u8, String);

fn main() -> ExitCode {
    let wrong = |error: lexopt::Error| (2, format!("{error}; see zcmd-tool --help"));
    match parse(lexopt::Parser::from_env()).map_err(wrong).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, message)) => {
            let _ = writeln!(std::io::stderr(), "zcmd-tool: {message}");
            ExitCode::from(status)
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<(String, Line), lexopt::Error> {
    let name = match parser.next()? {
        Some(Value(name)) => name.string()?,
        Some(Long("help") | Short('h')) => "--help".to_owned(),
        Some(Long("version") | Short('V')) => "--version".to_owned(),
        Some(other) => return Err(other.unexpected()),
        None => return Err("one of facts, list, read, write is missing".into()),
    };
    let mut line = Line::default();
    while let Some(argument) = parser.next()? {
        let reads = name == "read";
        let writes = name == "write";
        match argument {
            Value(value) => line.operands.push(value.string()?),
            Long("under") if reads || writes || name == "list" => {
                line.under = Some(parser.value()?.string()?);
            }
            Long("hard-links") if reads || writes => line.hard_links = true,
            Long("offset") if reads || writes => line.offset = Some(parser.value()?.parse()?),
            Long("length") if reads => line.length = Some(parser.value()?.parse()?),
            Long("print") if reads => match parser.value()?.string()?.as_str() {
                "bytes" => line.sum = false,
                "sum" => line.sum = true,
                _ => return Err("--print takes bytes or sum".into()),
            },
            Long("mode") if writes => {
                line.mode = Some(parser.value()?.parse_with(mode)?);
            }
            Long("backup") if writes => line.backup = true,
            Long("validate") if writes => line.validate = Some(parser.value()?.string()?),
            Long("if-sha256") if writes => line.if_sha256 = Some(parser.value()?.string()?),
            Long("sha256") if writes => line.sha256 = Some(parser.value()?.parse_with(sum)?),
            Long("size") if writes => line.size = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok((name, line))
}

fn mode(text: &str) -> Result<u32, &'static str> {
    let mode = u32::from_str_radix(text, 8).map_err(|_| "write an octal number, as in 0640")?;
    if mode > 0o777 {
        Err("at most 0777: no set-user-ID, set-group-ID or sticky bit")
    } else {
        Ok(mode)
    }
}

fn sum(text: &str) -> Result<String, &'static str> {
    let is_sum = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sum {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected the 64 digits of a SHA-256 sum")
    }
}

fn run((name, line): (String, Line)) -> Result<(), Failure> {
    let result = match name.as_str() {
        "--help" => return print(HELP.trim_end()),
        "--version" => return print(concat!("zcmd-tool ", env!("CARGO_PKG_VERSION"))),
        "facts" => {
            line.operands::<0, 0>("facts")?;
            facts::facts()
        }
        "list" => {
            let [path] = line.operands::<0, 1>("list")?;
            let directory = line.directory()?.directory(path.as_deref()).map_err(refused)?;
            list::list(&directory).map_err(refused)?
        }
        "read" => {
            let [file] = line.operands::<1, 1>("read")?;
            let file = line.directory()?.file(&file.unwrap_or_default()).map_err(refused)?;
            let part =
                Part { offset: line.offset.unwrap_or(0), length: line.length, sum: line.sum };
            let about = read::read(file, &part, &mut std::io::stdout()).map_err(refused)?;
            let _ = writeln!(std::io::stderr(), "{about}");
            return Ok(());
        }
        "write" => {
            let (directory, order) = (line.directory()?, line.order()?);
            write::write(&directory, &order, &mut std::io::stdin()).map_err(refused)?
        }
        other => return Err(usage(format!("unknown {other:?}"))),
    };
    print(result)
}

fn refused(message: String) -> Failure {
    (1, message)
}

fn usage(message: impl Display) -> Failure {
    (2, format!("{message}; see zcmd-tool --help"))
}

fn print(text: impl Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| (1, format!("cannot write the result: {error}")))
}

impl Line {
    /// As many operands as there may be, of which the first `MIN` must be there.
    fn operands<const MIN: usize, const MAX: usize>(
        &self,
        name: &str,
    ) -> Result<[Option<String>; MAX], Failure> {
        let count = self.operands.len();
        if count < MIN || count > MAX {
            let message = format!("{name} takes {MIN} to {MAX} operands, not {count}");
            return Err(usage(message));
        }
        let mut operands = self.operands.iter().cloned();
        Ok(std::array::from_fn(|_| operands.next()))
    }

    fn directory(&self) -> Result<Directory, Failure> {
        let under = self.under.as_deref().ok_or_else(|| usage("--under DIR is missing"))?;
        Directory::open(under, self.hard_links).map_err(refused)
    }

    fn order(&self) -> Result<Order, Failure> {
        let [file] = self.operands::<1, 1>("write")?;
        let whole = match (&self.sha256, self.size, self.offset) {
            (Some(sha256), Some(size), Some(offset)) => {
                Some(Whole { sha256: sha256.clone(), size, offset })
            }
            (None, None, None) => None,
            _ => return Err(usage("--sha256, --size and --offset go together")),
        };
        let old = match self.if_sha256.as_deref() {
            None | Some("any") => Old::Any,
            Some("none") => Old::Missing,
            Some(text) => Old::Sum(sum(text).map_err(|why| usage(format!("--if-sha256: {why}")))?),
        };
        if self.validate.as_ref().is_some_and(|program| !program.starts_with('/')) {
            return Err(usage("--validate takes an absolute path"));
        }
        Ok(Order {
            file: file.unwrap_or_default(),
            whole,
            mode: self.mode.unwrap_or(0o600),
            backup: self.backup,
            old,
            validate: self.validate.clone(),
        })
    }
}
