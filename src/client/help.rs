//! What `--help` prints.
//!
//! Promises: each text begins with examples that work as they stand. Leaves out: the functions of
//! the maths, which the caller hands over.

use std::collections::BTreeSet;

/// The subcommands of the client itself.
pub const SUBCOMMANDS: [&str; 15] = [
    "compute", "os", "list", "ping", "status", "cancel", "menu", "batch", "each", "keygen",
    "facts", "ls", "get", "put", "help",
];

/// The help on a subcommand, or on all. `reference` lists what an expression may use: how it is
/// written, what it means, an example, and what that gives. `external` names the subcommands that
/// are programs of their own.
pub fn text<'a>(
    subcommand: Option<&str>,
    reference: impl Iterator<Item = [&'a str; 4]>,
    external: BTreeSet<String>,
) -> String {
    match subcommand {
        Some("compute") => {
            let mut text = COMPUTE.to_owned();
            for [form, about, example, result] in reference {
                text += &format!("  {form:16} {about:44} {example} = {result}\n");
            }
            text
        }
        Some("os") => OS.to_owned(),
        Some("list" | "help") => LIST.to_owned(),
        Some("ping" | "status") => PING.to_owned(),
        Some("cancel") => CANCEL.to_owned(),
        Some("menu") => MENU.to_owned(),
        Some("batch") => BATCH.to_owned(),
        Some("each") => EACH.to_owned(),
        Some("keygen") => KEYGEN.to_owned(),
        Some("facts" | "ls" | "get" | "put") => FILES.to_owned(),
        _ => {
            let mut subcommands = format!("Subcommands: {}.\n", SUBCOMMANDS.join(", "));
            if !external.is_empty() {
                let names = Vec::from_iter(external).join(", ");
                subcommands += &format!("Programs zcmd-NAME that are installed: {names}.\n");
            }
            format!("{EXAMPLES}\n{subcommands}{OPTIONS}")
        }
    }
}

const EXAMPLES: &str = "\
zcmd: run allowed commands and evaluate maths on a host where zcmdd listens

  export ZCMD_TOKEN_FILE=~/.zcmd-token     a file with your token (chmod 600)
  zcmd compute '2*(3+4)'                   14
  zcmd list                                what you may run, with its parameters
  zcmd os uptime                           its output; its exit status
  zcmd os ping example.org 3               parameters come after the name
  zcmd --server tcp://host:5555 ping       is anybody there?
  zcmd batch < expressions.txt             one expression a line, answers in order
  zcmd each --hosts FILE os uptime         the same on many hosts
  zcmd get app.conf                        a file of the host, if its owner declares the command
  zcmd menu                                for people
";

const OPTIONS: &str = "\
`zcmd SUBCOMMAND --help` has more examples.

Options:
  --server LIST       addresses, comma-separated, tried in order: tcp://HOST:PORT, ipc://PATH
                      (or ZCMD_SERVER; tcp://127.0.0.1:5555 unless given)
  --token-file FILE   a file with the token, closed to others; - is standard input
                      (or ZCMD_TOKEN_FILE, or the token itself in ZCMD_TOKEN)
  --timeout SECONDS   how long the whole run may take (60)
  --json              print the reply as it came, and no more
  --id ID             the id of the request, for zcmd cancel
  --explain           show where an expression fails, also when nobody may be looking
  --help, --version

Exit status:
  0-123, 128+n   the command's own, or 128 + the signal that ended it; maths: 0, or 1 for a bad
                 expression
  124   the daemon ended the command at its time limit
  125   refused, or failed before anything ran: command line, token, parameter, limit, no daemon
  126   forbidden for this token, or the program could not be started
  127   unknown command
  130   Ctrl-C; the command was cancelled            141   nobody reads standard output any more
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
  zcmd os --yes reboot                     a command that asks for a confirmation, without asking
  zcmd os logs | grep error                output as it comes; grep's end is its end
  zcmd os --stdin wc < file                its standard input is yours, up to 128 KiB
  zcmd --json os uptime                    all in one object, when it is over
  zcmd os --id backup backup &             then: zcmd cancel backup

Options come before NAME; after it, everything is a parameter, dashes included (one -- directly
after NAME is dropped). Ctrl-C ends the command on the daemon's host; a second one does not wait
for its end.
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
";

const CANCEL: &str = "\
zcmd cancel [OPTION]... ID

  zcmd os --id backup backup &
  zcmd cancel backup                       ends it, running or queued

Only commands of the same subject. Digits are a number: --id 7 is the id 7.
";

const MENU: &str = "\
zcmd menu [OPTION]...

  zcmd menu                                1 runs a command, 2 computes, 3 quits

Asks for each parameter by its name, with its type and default. Ctrl-C ends a running command,
leaves a question, or leaves the menu.
";

const BATCH: &str = "\
zcmd batch [OPTION]... [EXPRESSION]

  zcmd batch < expressions.txt             one expression a line, answers in order
  zcmd batch --let x=3 < expressions.txt   the same variables for all
  zcmd batch --let-columns x,y 'x^2+y' < rows.csv      one value a row

A line without a value gives an empty line, and its message and number on standard error; a blank
line gives a blank line. The exit status is that of the worst line. A rate limit slows it down.
--timeout is how long to wait without an answer to any line, and the longest wait that a rate
limit may ask for.
";

const EACH: &str = "\
zcmd each [OPTION]... os [--yes] [-p NAME=VALUE]... NAME [PARAMETER]...
zcmd each [OPTION]... compute [--let NAME=NUMBER]... EXPRESSION...

  zcmd each --hosts hosts.txt os uptime    one host a line; # begins a comment
  zcmd each -H tcp://10.0.0.7:5555,tcp://10.0.0.8:5555 os uptime
  zcmd each --hosts hosts.txt --stop-after 1 --at-most 1 os upgrade    one after the other
  zcmd --json each --hosts hosts.txt os uptime    one line of JSON for each host

Options:
  -H, --host LIST     hosts, separated by commas; --hosts adds those of a file
  --hosts FILE        hosts, one a line
  --at-most N         hosts that are asked at the same time, 1 to 128 (64)
  --stop-after N      begin no further host after so many that are not ok
  --timeout SECONDS   for each host, from its turn to its end (60)

Equal outputs are shown once, under the names of their hosts; then comes a table. The outcome of a
host is ok, skipped (not begun), unreachable (nothing ran), refused (nothing ran), failed (it ran),
cancelled (Ctrl-C) or unknown (it may have run). The exit status is that of the worst host: the
last of these outcomes, and then the highest status. After Ctrl-C it is 130.
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
