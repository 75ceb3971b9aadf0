//! The launch of a command: the daemon's program, run again with a hidden argument, applies the
//! settings of the entry and then becomes the command by `exec`.
//!
//! Promises: every step succeeds or the command does not start; a pipe reports the failed step and
//! the reason to the daemon, and the moment before `exec`. The command has no descriptors above 2
//! except files that are passed to it by descriptor; it has its own session without a terminal, a
//! parent-death signal, `no_new_privs`, no core dumps, umask 077, and the limits, user, group,
//! directory and environment of its entry.
//! The launcher runs with an empty environment, since it has the daemon's rights until it changes
//! the user, and a variable such as LD_PRELOAD may name a file of that user. There is no `unsafe`,
//! and no race between threads, since this process has one.
//! Leaves out: standard input, output and error, which `system::running` sets up.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid};

use crate::limits;
use crate::port::{Beneath, Ending, Entry, Invocation, Place};
use crate::system::beneath::{self, Fault};

/// The hidden argument.
pub const ARGUMENT: &str = "--launch";

/// The step that reports a refused path: the parameter and the reason follow, a line each.
const STEP_PATH: &str = "path";

/// The report before `exec`; the reason follows if `exec` fails.
const READY: char = '\u{6}';

/// No core dumps, whatever the entry says.
const NO_CORE: (Resource, Rlimit) = (Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });

/// A step that failed, and why.
struct Failure(&'static str, String);

/// The parameters of a launcher besides the command.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The descriptor for its report.
    pub report: i32,
    /// The descriptor of a file with the command's environment, each variable ended by NUL.
    pub environment: i32,
    /// The pid of the daemon.
    pub parent: u32,
    /// The limit on open descriptors if the entry sets none.
    pub files: u64,
    /// The cgroup of the command.
    pub cgroup: Option<&'a Path>,
}

impl Launch<'_> {
    /// The arguments of a launcher: names and values, then the command.
    pub fn arguments(&self, invocation: &Invocation) -> Vec<String> {
        let Self { report, environment, parent, files, cgroup } = self;
        let mut own = vec![ARGUMENT.to_owned()];
        own.extend([report.to_string(), environment.to_string(), parent.to_string()]);
        if let Some(cgroup) = cgroup {
            own.extend(["cgroup".to_owned(), cgroup.display().to_string()]);
        }
        own.extend(arguments(invocation, *files));
        own
    }
}

/// The arguments that describe a command.
fn arguments(invocation: &Invocation, files: u64) -> Vec<String> {
    let execution = &invocation.execution;
    let mut arguments = Vec::new();
    let mut set = |name: &str, value: &str| {
        arguments.extend([name.to_owned(), value.to_owned()]);
    };
    set("directory", &execution.directory);
    for (name, value) in [("user", &execution.user), ("group", &execution.group)] {
        value.iter().for_each(|value| set(name, value));
    }
    let mut resources = execution.resources.clone();
    resources.entry("open_files_max").or_insert(files);
    resources.iter().for_each(|(name, number)| set(name, &number.to_string()));
    for Beneath { parameter, directory, path, places } in &invocation.beneath {
        set("parameter", parameter);
        set("under", directory);
        set("path", path);
        places
            .iter()
            .for_each(|Place { argument, byte }| set("place", &format!("{argument}:{byte}")));
    }
    for Entry { parameter, directory, name } in &invocation.entries {
        set("parameter", parameter);
        set("under", directory);
        set("entry", name);
    }
    arguments.push("--".to_owned());
    arguments.push(invocation.program.clone());
    arguments.extend(invocation.arguments.iter().cloned());
    arguments
}

/// Becomes the command that the arguments after `ARGUMENT` describe. Returns only if that fails,
/// after reporting why.
pub fn run(arguments: &[OsString]) {
    let arguments: Option<Vec<&str>> = arguments.iter().map(|text| text.to_str()).collect();
    let Some([report, environment, parent, rest @ ..]) = arguments.as_deref() else { return };
    // A new descriptor of the same pipe, closed by `exec`; so are all inherited ones.
    let Ok(mut report) = open_report(report) else { return };
    let Ok(variables) = std::fs::read_to_string(inherited(environment)) else { return };
    close_fds::set_fds_cloexec(3, &[]);
    let failure = match prepare(parent, rest) {
        Ok(mut command) => {
            // The environment of the command begins to have an effect here.
            command.env_clear().envs(variables.split('\0').filter_map(|text| text.split_once('=')));
            let _ = report.write_all(READY.to_string().as_bytes());
            Failure("exec", command.exec().to_string())
        }
        Err(failure) => failure,
    };
    let Failure(step, reason) = failure;
    // An error means that the daemon is gone, so there is no reader of the report.
    let _ = report.write_all(format!("{step}\n{reason}").as_bytes());
}

/// The ending of a command by its launcher's report; `None` if the command started.
pub fn read_report(report: &str) -> Option<Ending> {
    if report.chars().eq([READY]) {
        return None;
    }
    let (step, reason) = match report.trim_start_matches(READY).split_once('\n') {
        Some((step, reason)) => (step, reason),
        None => ("launch", "the launcher was killed before the command started"),
    };
    let (step, reason) = (step.to_owned(), reason.to_owned());
    Some(match reason.split_once('\n') {
        Some((parameter, reason)) if step == STEP_PATH => {
            Ending::BadPath { parameter: parameter.to_owned(), reason: reason.to_owned() }
        }
        _ => Ending::NotStarted { step, reason },
    })
}

fn open_report(descriptor: &str) -> std::io::Result<File> {
    OpenOptions::new().write(true).open(inherited(descriptor))
}

fn inherited(descriptor: &str) -> PathBuf {
    Path::new("/proc/self/fd").join(descriptor)
}

fn prepare(parent: &str, mut rest: &[&str]) -> Result<Command, Failure> {
    let (mut user, mut group, mut directory) = (None, None, "/");
    let (mut parameter, mut under) = ("", "/");
    let (mut paths, mut entries) = (Vec::<Beneath>::new(), Vec::new());
    let mut resources = vec![NO_CORE];
    while let [name, value, after @ ..] = rest {
        match *name {
            "--" => break,
            "cgroup" => {
                super::cgroup::enter(value).map_err(|error| Failure("cgroup", error.to_string()))?
            }
            "directory" => directory = value,
            "user" => user = Some(*value),
            "group" => group = Some(*value),
            "parameter" => parameter = value,
            "under" => under = value,
            "path" => paths.push(Beneath {
                parameter: parameter.to_owned(),
                directory: under.to_owned(),
                path: (*value).to_owned(),
                places: Vec::new(),
            }),
            "entry" => entries.push(Entry {
                parameter: parameter.to_owned(),
                directory: under.to_owned(),
                name: (*value).to_owned(),
            }),
            "place" => {
                let place = place(value)?;
                paths.last_mut().iter_mut().for_each(|path| path.places.push(place));
            }
            name => resources.push(resource(name, value)?),
        }
        rest = after;
    }
    let ["--", program, arguments @ ..] = rest else {
        return Err(Failure("arguments", "there is no program".to_owned()));
    };
    // The session has no terminal, and its leader cannot leave its process group.
    rustix::process::setsid().map_err(|error| Failure("session", error.to_string()))?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    become_user(user, group)?;
    rustix::process::chdir(directory).map_err(|error| Failure("cwd", error.to_string()))?;
    let mut arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let held = beneath::hold_entries(&entries);
    held.and_then(|()| beneath::hold(&paths, &mut arguments)).map_err(|fault| match fault {
        (parameter, Fault::Path(reason)) => Failure(STEP_PATH, format!("{parameter}\n{reason}")),
        (_, Fault::Kernel(reason)) => Failure("openat2", reason.to_owned()),
    })?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| Failure("no_new_privs", error.to_string()))?;
    die_with(parent)?;
    let mut command = Command::new(program);
    command.args(arguments);
    // Last, since a limit may be too small for the launcher itself.
    for (resource, limit) in resources {
        rustix::process::setrlimit(resource, limit)
            .map_err(|error| Failure("limits", error.to_string()))?;
    }
    Ok(command)
}

/// Parses the index of an argument and a byte in it.
fn place(text: &str) -> Result<Place, Failure> {
    let place = text.split_once(':').and_then(|(argument, byte)| {
        Some(Place { argument: argument.parse().ok()?, byte: byte.parse().ok()? })
    });
    place.ok_or_else(|| Failure("arguments", format!("bad place {text}")))
}

fn resource(name: &str, value: &str) -> Result<(Resource, Rlimit), Failure> {
    let resource = match name {
        "memory_bytes_max" => Resource::As,
        "cpu_seconds_max" => Resource::Cpu,
        "open_files_max" => Resource::Nofile,
        "processes_max" => Resource::Nproc,
        "file_bytes_max" => Resource::Fsize,
        _ => return Err(Failure("arguments", format!("unknown name {name}"))),
    };
    let number = value.parse().map_err(|_| Failure("arguments", format!("bad number {value}")))?;
    Ok((resource, Rlimit { current: Some(number), maximum: Some(number) }))
}

/// Kills this process when the daemon dies, even by SIGKILL. Set after the change of user, which
/// resets it; a parent that is already gone sends no signal.
fn die_with(parent: &str) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure("parent", error.to_string()))?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.as_deref() != Some(parent) {
        return Err(Failure("parent", "the daemon is gone".to_owned()));
    }
    Ok(())
}

/// An account of /etc/passwd.
struct Account {
    name: String,
    user: u32,
    group: u32,
}

fn become_user(user: Option<&str>, group: Option<&str>) -> Result<(), Failure> {
    let account = user.map(find_account).transpose()?;
    let group = match (group, &account) {
        (Some(group), _) => Some(find_group(group)?),
        (None, account) => account.as_ref().map(|account| account.group),
    };
    let Some(group) = group.map(Gid::from_raw) else { return Ok(()) };
    let groups = account.as_ref().map_or(Ok(vec![]), |account| groups_of(&account.name))?;
    let step = |step| move |error: rustix::io::Errno| Failure(step, error.to_string());
    rustix::thread::set_thread_groups(&groups).map_err(step("groups"))?;
    rustix::thread::set_thread_res_gid(group, group, group).map_err(step("group"))?;
    if let Some(Account { user, .. }) = account {
        let user = Uid::from_raw(user);
        rustix::thread::set_thread_res_uid(user, user, user).map_err(step("user"))?;
    }
    Ok(())
}

/// The lines of a table such as /etc/passwd (passwd(5), group(5)), split at colons.
fn table(path: &'static str) -> Result<Vec<Vec<String>>, Failure> {
    let text = super::files::read(path, limits::ACCOUNTS_FILE_BYTES_MAX)
        .map_err(|why| Failure("user", why))?;
    Ok(text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect())
}

fn find_account(wanted: &str) -> Result<Account, Failure> {
    for line in table("/etc/passwd")? {
        if let [name, _, user, group, ..] = line.as_slice()
            && (name == wanted || user == wanted)
            && let (Ok(user), Ok(group)) = (user.parse(), group.parse())
        {
            return Ok(Account { name: name.clone(), user, group });
        }
    }
    Err(Failure(
        "user",
        format!("there is no user {wanted} in /etc/passwd; make it, or name another"),
    ))
}

/// Checks that there is a user of this name or number.
///
/// # Errors
/// There is none.
pub fn check_user(wanted: &str) -> Result<(), String> {
    find_account(wanted).map(drop).map_err(|Failure(_, why)| why)
}

/// The number of a group.
///
/// # Errors
/// No such group.
pub fn group_id(wanted: &str) -> Result<u32, String> {
    find_group(wanted).map_err(|Failure(_, why)| why)
}

fn find_group(wanted: &str) -> Result<u32, Failure> {
    for line in table("/etc/group")? {
        if let [name, _, group, ..] = line.as_slice()
            && (name == wanted || group == wanted)
            && let Ok(group) = group.parse()
        {
            return Ok(group);
        }
    }
    Err(Failure(
        "group",
        format!("there is no group {wanted} in /etc/group; make it, or name another"),
    ))
}

fn groups_of(name: &str) -> Result<Vec<Gid>, Failure> {
    let lines = table("/etc/group")?;
    let member = |line: &Vec<String>| match line.as_slice() {
        [_, _, group, members] if members.split(',').any(|member| member == name) => {
            group.parse().ok().map(Gid::from_raw)
        }
        _ => None,
    };
    Ok(lines.iter().filter_map(member).collect())
}

/// The process ID of this process, which its launchers check.
pub fn own_pid() -> u32 {
    Pid::as_raw_nonzero(rustix::process::getpid()).get().unsigned_abs()
}
