//! What `--help` prints.
//!
//! Promises: each text begins with examples that work as they stand; the overview is made of the
//! two tables here, from which the command line takes what it knows.
//! Leaves out: the functions of the maths, which the caller hands over.

use std::collections::BTreeSet;

/// A subcommand of the client itself.
#[derive(Debug)]
pub struct Subcommand {
    /// What is typed.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// What its own `--help` prints.
    help: &'static str,
}

/// An option, or a variable, or both ways to set one thing.
#[derive(Debug)]
pub struct Setting {
    /// As it is typed, with its short form and its value; empty if there is no option.
    pub option: &'static str,
    /// The variable that sets the same; empty if there is none.
    pub variable: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// The subcommands that take the option; empty for all.
    pub only: &'static [&'static str],
}

/// The subcommands, in the order of the help.
pub const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand { name: "compute", about: "evaluate an expression", help: COMPUTE },
    Subcommand { name: "os", about: "run a command of the host", help: OS },
    Subcommand { name: "list", about: "what the token may run, with parameters", help: LIST },
    Subcommand { name: "ping", about: "is the daemon there, and is the token good?", help: PING },
    Subcommand { name: "status", about: "the daemon's counters", help: PING },
    Subcommand { name: "jobs", about: "the commands that run and wait", help: JOBS },
    Subcommand { name: "cancel", about: "end running or waiting commands", help: CANCEL },
    Subcommand { name: "menu", about: "a menu for people", help: MENU },
    Subcommand { name: "batch", about: "many expressions, one a line", help: BATCH },
    Subcommand { name: "each", about: "the same on many hosts", help: EACH },
    Subcommand { name: "facts", about: "what the host is and how it is", help: FILES },
    Subcommand { name: "ls", about: "what is in a directory of the host", help: FILES },
    Subcommand { name: "get", about: "copy a file of the host here", help: FILES },
    Subcommand { name: "put", about: "copy a file to the host", help: FILES },
    Subcommand { name: "keygen", about: "make a pair of CURVE keys", help: KEYGEN },
    Subcommand { name: "config", about: "check the configuration file, add a host", help: CONFIG },
    Subcommand { name: "whoami", about: "what the token at hand says", help: WHOAMI },
    Subcommand { name: "help", about: "this text, or that of a subcommand", help: HELP },
];

/// The options and variables, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    setting("-H, --host NAME", "ZCMD_HOST", "a host of the configuration file", &[]),
    setting("", "ZCMD_CONFIG", "that file; ~/.config/zcmd/config.toml or /etc/zcmd/... else", &[]),
    setting("--server LIST", "ZCMD_SERVER", "tcp://HOST:PORT or ipc://PATH, tried in order", &[]),
    setting("", "ZCMD_SERVER_KEY", "CURVE: the daemon's public key", &[]),
    setting("", "ZCMD_SERVER_KEY_FILE", "the same in a file, which spares it the shell", &[]),
    setting("", "ZCMD_KEY_FILE", "CURVE: the client's own keys (zcmd keygen)", &[]),
    setting("", "ZCMD_ALLOW_CLEARTEXT", "yes: a network without CURVE", &[]),
    setting("--token-file FILE", "ZCMD_TOKEN_FILE", "closed to others; - is standard input", &[]),
    setting("", "ZCMD_TOKEN", "the token itself", &[]),
    setting("--timeout SECONDS", "", "how long the whole run may take (60)", &[]),
    setting("--retry N", "", "do again what was certainly not done: busy, no daemon", &[]),
    setting("-q, --quiet", "", "no errors on standard error; the exit status tells", &[]),
    setting("-v, --verbose", "", "tell each setting's source, and each step with its time", &[]),
    setting("--json", "", "print the reply as it came, and no more", &[]),
    setting(
        "-o, --output FORMAT",
        "",
        "table or json, of list, status, jobs, ping and whoami",
        &[],
    ),
    setting("--id ID", "", "the id of the request, for zcmd cancel", &[]),
    setting("--explain", "", "os: run nothing, print what would run; maths: mark the fault", &[]),
    setting(
        "-p, --parameter NAME=VALUE",
        "",
        "a parameter by its name; NAME@FILE: in a file",
        &["os", "each"],
    ),
    setting("--yes", "", "confirm a command that asks for it", &["os", "each"]),
    setting("--stdin", "", "the command reads standard input", &["os"]),
    setting("--let NAME=NUMBER", "", "a variable; may be repeated", &["compute", "batch", "each"]),
    setting("--let-columns NAMES", "", "lines are rows of these numbers", &["batch"]),
    setting("--hosts FILE", "", "hosts, one a line", &["each"]),
    setting("--at-most N", "", "hosts that are asked at the same time (64)", &["each"]),
    setting("--stop-after N", "", "begin no further host after so many failures", &["each"]),
    setting("--watch[=SECONDS]", "", "again every second, or as often", &["status", "jobs"]),
    setting("--job N", "", "the job of this number; may be repeated", &["cancel"]),
    setting("--command NAME", "", "run this command", &["facts", "ls", "get", "put"]),
    setting("-h, --help", "", "", &[]),
    setting("-V, --version", "", "", &[]),
];

const fn setting(
    option: &'static str,
    variable: &'static str,
    about: &'static str,
    only: &'static [&'static str],
) -> Setting {
    Setting { option, variable, about, only }
}

impl Setting {
    /// The option without its value: `-h` and `--help`.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.option.split([',', ' ', '[']).filter(|word| word.starts_with('-'))
    }
}

/// Whether this is a subcommand of the client itself.
pub fn is_subcommand(name: &str) -> bool {
    SUBCOMMANDS.iter().any(|subcommand| subcommand.name == name)
}

/// The help on a subcommand, or on all. `reference` lists what an expression may use: how it is
/// written, what it means, an example, and what that gives. `external` names the subcommands that
/// are programs of their own.
pub fn text<'a>(
    subcommand: Option<&str>,
    reference: impl Iterator<Item = [&'a str; 4]>,
    external: BTreeSet<String>,
) -> String {
    let subcommand = SUBCOMMANDS.iter().find(|known| Some(known.name) == subcommand);
    let Some(Subcommand { name, help, .. }) = subcommand else { return overview(external) };
    let mut text = (*help).to_owned();
    if *name == "compute" {
        for [form, about, example, result] in reference {
            text += &format!("  {form:16} {about:44} {example} = {result}\n");
        }
    }
    text
}

fn overview(external: BTreeSet<String>) -> String {
    let mut text = format!("{EXAMPLES}\nSubcommands:\n");
    for Subcommand { name, about, .. } in SUBCOMMANDS {
        text += &format!("  {name:9} {about}\n");
    }
    if !external.is_empty() {
        let names = Vec::from_iter(external).join(", ");
        text += &format!("Programs zcmd-NAME that are installed: {names}.\n");
    }
    text += "\nOptions, and the variables that set the same:\n";
    for Setting { option, variable, about, only } in SETTINGS {
        let only = if only.is_empty() { String::new() } else { format!("{}: ", only.join(", ")) };
        // No option as long as this has a variable.
        let line = format!("  {:43} {only}{about}", format!("{option:21} {variable}"));
        text += &format!("{}\n", line.trim_end());
    }
    text + STATUSES
}

const EXAMPLES: &str = "\
zcmd: run allowed commands and evaluate maths on a host where zcmdd listens

  export ZCMD_TOKEN_FILE=~/.zcmd-token     a file with your token (chmod 600)
  zcmd compute '2*(3+4)'                   14
  zcmd list                                what you may run, with its parameters
  zcmd os uptime                           its output; its exit status
  zcmd os ping example.org 3               parameters come after the name
  zcmd --server tcp://host:5555 ping       is the daemon there?
  zcmd -H nas os uptime                    on the host nas of the configuration file
  zcmd batch < expressions.txt             one expression a line, answers in order
  zcmd each --hosts FILE os uptime         the same on many hosts
  zcmd get app.conf                        a file of the host, if its owner declares the command
  zcmd menu                                for people
  zcmd SUBCOMMAND --help                   more examples
";

const STATUSES: &str = "
Exit status:
  0-123, 128+n   the command's own, or 128 + the signal that ended it; maths: 0, or 1 for a bad
                 expression
  124   the daemon ended the command at its time limit
  125   refused, or failed before anything ran: command line, token, parameter, limit, no daemon
  126   forbidden for this token, or the program could not be started
  127   unknown command
  129, 130, 143  SIGHUP, Ctrl-C, SIGTERM; the command was cancelled
  141   nobody reads standard output any more
  255   sent, and no answer in time: it may or may not have run
";

const COMPUTE: &str = "\
zcmd compute [OPTION]... EXPRESSION...

  zcmd compute '2*(3+4)'                   14
  zcmd compute 2^100                       all 31 digits
  zcmd compute -2^2                        -4; no -- is needed
  zcmd compute --let r=2.5 'pi*r^2'        variables; --let may be repeated
  zcmd compute --explain '2*(3'            with a mark where it fails
  if x=$(zcmd compute \"$a/$b\"); then ...   exit status 1 is a bad expression

Several arguments are joined by blanks. The shell has its own idea of * and ( ): quote them.
An expression may use:

";

const OS: &str = "\
zcmd os [OPTION]... NAME [PARAMETER]...

  zcmd os uptime                           its output, and its exit status
  zcmd os ping example.org 3               parameters, in the order of zcmd list
  zcmd os -p count=3 ping example.org      one of them by its name; -p may be repeated
  zcmd os -p pin@FILE unlock               ... out of a file, or of standard input (-)
  zcmd os --yes reboot                     a command that asks for a confirmation, without asking
  zcmd os logs | grep error                output as it comes; grep's end is its end
  zcmd os --stdin wc < file                its standard input is yours, up to 128 KiB
  zcmd os --explain ping example.org       runs nothing; prints what would run
  zcmd os --retry 5 backup                 again, if it was certainly not run
  zcmd --json os uptime                    all in one object, when it is over
  zcmd os --id backup backup &             then: zcmd cancel backup

Options come before NAME; after it, everything is a parameter, dashes included (one -- directly
after NAME is dropped). Ctrl-C, SIGTERM and SIGHUP end the command on the daemon's host; a second
one does not wait for its end.
";

const LIST: &str = "\
zcmd list [OPTION]... [NAME]
zcmd help [OPTION]... [NAME]

  zcmd list                                what this token may run, with its parameters
  zcmd list ping                           the page of one command
  zcmd help ping                           the same; for a subcommand, as zcmd ping --help
  zcmd --json list                         the same for programs
";

const PING: &str = "\
zcmd ping [OPTION]...        is the daemon there, and is the token good?
zcmd status [OPTION]...      its counters (the token must reach status)

  until zcmd --timeout 1 ping; do sleep 1; done
  zcmd --json status
  zcmd status --watch                      a line a second, with rates
  zcmd --json status --watch=60            a line of JSON a minute

A watch ends with the token, with a reload that takes the right, and with Ctrl-C. --timeout is how
long to wait for a line beyond its time.
";

const JOBS: &str = "\
zcmd jobs [OPTION]...

  zcmd jobs                                your commands that run and wait
  zcmd jobs --watch=5                      the same every 5 seconds
  zcmd --json jobs                         the same for programs

A token with the word admin in its scope sees the commands of all subjects. STATE is waiting,
starting, running, ending (it was told to end) or left (its processes outlive it). Parameters are
never shown.
";

const CANCEL: &str = "\
zcmd cancel [OPTION]... ID...
zcmd cancel [OPTION]... --job N...

  zcmd os --id backup backup &
  zcmd cancel backup                       ends it, running or queued
  zcmd cancel --job 17                     by the number that zcmd jobs shows

Only commands of the same subject; with the word admin in the scope of the token, --job reaches
those of all. Digits are a number: --id 7 is the id 7. The exit status is that of the worst.
";

const MENU: &str = "\
zcmd menu [OPTION]...

  zcmd menu                                1 runs a command, 2 computes, 3 quits

Asks for each parameter by its name, with its type and default; secrets are not shown. Tab
completes, the arrow keys recall, ? helps, < goes back, r runs the last command again, q or Ctrl-D
quits. Ctrl-C ends a running command, leaves a question, or leaves the menu.
";

const BATCH: &str = "\
zcmd batch [OPTION]... [FILE]
zcmd batch [OPTION]... --let-columns NAMES EXPRESSION [FILE]

  zcmd batch expressions.txt               one expression a line, answers in order
  zcmd batch --let x=3 < expressions.txt   the same variables for all
  zcmd batch --let-columns x,y 'x^2+y' < rows.csv      one value a row

A line without a value gives an empty line, and its message and number on standard error; a blank
line and one that begins with # give a blank line. Without FILE, or with -, lines are those of
standard input. On a terminal, standard error shows how far it is. The exit status is that of the
worst line. A rate limit slows it down. --timeout is how long to wait without an answer to any line,
and the longest wait that a rate limit may ask for.
";

const EACH: &str = "\
zcmd each [OPTION]... os [--yes] [-p NAME=VALUE]... NAME [PARAMETER]...
zcmd each [OPTION]... compute [--let NAME=NUMBER]... EXPRESSION...

  zcmd each --hosts hosts.txt os uptime    one host a line; # begins a comment
  zcmd each -H nas,pi os uptime            hosts of the configuration file
  zcmd each -H tcp://10.0.0.7:5555,tcp://10.0.0.8:5555 os uptime
  zcmd each --hosts hosts.txt --stop-after 1 --at-most 1 os upgrade    one after the other
  zcmd --json each --hosts hosts.txt os uptime    one line of JSON for each host

Options:
  -H, --host LIST     hosts, separated by commas: names of the configuration file, or addresses
  --hosts FILE        further hosts, one a line
  --at-most N         hosts that are asked at the same time, 1 to 64 (64)
  --stop-after N      begin no further host after so many that are not ok
  --timeout SECONDS   for each host, from its turn to its end (60)

Options come before os or compute; --let comes after compute.
Equal outputs are shown once, under the names of their hosts; then comes a table. The outcome of a
host is ok, skipped (not begun), unreachable (nothing ran), refused (nothing ran), failed (it ran),
cancelled (Ctrl-C) or unknown (it may have run). The exit status is that of the worst host: the
last of these outcomes, and then the highest status. After Ctrl-C it is 130, after SIGTERM 143.
";

const KEYGEN: &str = "\
zcmd keygen FILE

  zcmd keygen ~/.zcmd-key                  makes it, and ~/.zcmd-key.pub; prints the latter
  export ZCMD_KEY_FILE=~/.zcmd-key ZCMD_SERVER_KEY='...'      the daemon's own public key

For daemons on other hosts: give the printed key to their owner, who lists it. Without CURVE the
client sends no token over a network, unless ZCMD_ALLOW_CLEARTEXT=yes.
";

const FILES: &str = "\
zcmd facts                   what the host is and how it is
zcmd ls [PATH]               what is in a directory
zcmd get REMOTE [LOCAL]      copies a file of the host here
zcmd put LOCAL REMOTE        copies a file to the host, which replaces its own at once

  zcmd get app.conf && vi app.conf && zcmd put app.conf app.conf
  zcmd get --command logs syslog /tmp      by the host's command logs, not read
  zcmd os facts                            the JSON itself, for programs

They run the commands facts, files, read and write of the host, or that of --command NAME. Paths are
below the directory that its owner chose. Pieces are compared by SHA-256. What was not finished goes
on with the next run: get keeps it in LOCAL.part. --timeout is for each piece, beside what a rate
limit asks for.
";

const HELP: &str = "\
zcmd help [SUBCOMMAND]

  zcmd help os                             as zcmd os --help
";

const CONFIG: &str = "\
zcmd config check            tells what is wrong with the configuration file, keys and tokens
zcmd config add NAME         asks for a host, and adds it

  default = \"nas\"

  [hosts.nas]
  server = \"tcp://nas:5555\"
  server_key = \"...\"                       the daemon's public key
  key_file = \"nas.key\"                     relative to the file; ~/ is the home directory
  token_file = \"nas.token\"
  timeout = 10

The file is the one of ZCMD_CONFIG, or else $XDG_CONFIG_HOME/zcmd/config.toml (~/.config unless
set), or else /etc/zcmd/config.toml. An option goes before a variable, and a variable before the
file; a host that --host names goes before variables. The default host is asked when neither a host
nor a server is named.
";

const WHOAMI: &str = "\
zcmd whoami [OPTION]...

  zcmd whoami                              subject, scope, time and jti of the token at hand
  zcmd --json whoami | jq .exp             the same for programs

Asks no daemon: whether the token holds there, zcmd ping tells.
";
