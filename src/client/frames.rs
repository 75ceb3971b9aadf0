//! What `zcmd jobs` prints, and the frames of `--watch`.
//!
//! Promises: a job is one line, and so is a frame of `status --watch`, with rates since the frame
//! before. The widths of `status --watch` are fixed, so that lines stay aligned.
//! Leaves out: the exchange with the daemon.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::client::catalogue::string;
use crate::client::text::one_line;
use crate::protocol::json::{Fault, Json, Object};

/// Lines of `status --watch` from one heading to the next.
const HEADING_EVERY: u64 = 20;

/// Wipes a terminal.
const WIPE: &str = "\x1b[H\x1b[2J";

/// The state of a watch.
#[derive(Debug, Default)]
pub struct Frames {
    /// The counts of the frame before.
    before: Option<Counts>,
    /// Frames so far.
    count: u64,
}

/// What rates are made of.
#[derive(Clone, Copy, Debug)]
struct Counts {
    uptime_ms: u64,
    ok: u64,
    not_ok: u64,
    received: u64,
    sent: u64,
}

impl Frames {
    /// The next frame for people, each line with its end.
    ///
    /// # Errors
    /// It is no JSON, or not what `status` or `jobs` is answered with.
    pub fn show(&mut self, what: &str, json: &str, terminal: bool) -> Result<String, Fault> {
        let json = Json::parse(json.as_bytes())?;
        self.count += 1;
        match what {
            "status" => self.rates(json),
            _ if terminal => Ok(format!("{WIPE}{}", jobs(json)?)),
            _ if self.count > 1 => Ok(format!("\n{}", jobs(json)?)),
            _ => jobs(json),
        }
    }

    fn rates(&mut self, json: Json<'_>) -> Result<String, Fault> {
        let object = json.object()?;
        let now = Counts::read(&object)?;
        let mut text = String::new();
        if self.count % HEADING_EVERY == 1 {
            text += "  UPTIME s      OK/s  NOT OK/s   IN kB/s  OUT kB/s   RUNNING   WAITING\n";
        }
        let _ = write!(text, "{:10.1}", now.uptime_ms as f64 / 1e3);
        let before = self.before.replace(now);
        let rates = [
            |of: &Counts| of.ok as f64,
            |of: &Counts| of.not_ok as f64,
            |of: &Counts| of.received as f64 / 1e3,
            |of: &Counts| of.sent as f64 / 1e3,
        ];
        for of in rates {
            // After a restart of the daemon, or at the first frame, there is no rate.
            let _ = match before.filter(|before| before.uptime_ms < now.uptime_ms) {
                Some(before) => {
                    let seconds = (now.uptime_ms - before.uptime_ms) as f64 / 1e3;
                    write!(text, "{:10.1}", (of(&now) - of(&before)) / seconds)
                }
                None => write!(text, "{:>10}", "-"),
            };
        }
        let commands = inner(&object, "commands")?;
        let [running, waiting] = ["running", "waiting"].map(|name| integer(&commands, name));
        let _ = writeln!(text, "{:10}{:10}", running?, waiting?);
        Ok(text)
    }
}

impl Counts {
    fn read(status: &Object<'_>) -> Result<Self, Fault> {
        let totals = inner(status, "totals")?;
        let bytes = inner(&totals, "bytes")?;
        let (mut ok, mut not_ok) = (0_u64, 0_u64);
        for (_, outcomes) in inner(&totals, "requests")?.members() {
            for (outcome, count) in outcomes.object()?.members() {
                let sum = if outcome == "ok" { &mut ok } else { &mut not_ok };
                *sum = sum.saturating_add(count.integer()?);
            }
        }
        let uptime_ms = integer(status, "uptime_ms")?;
        let [received, sent] = ["received", "sent"].map(|name| integer(&bytes, name));
        Ok(Self { uptime_ms, ok, not_ok, received: received?, sent: sent? })
    }
}

/// The answer to `jobs` as a table, each line with its end. A column that is empty is left out.
///
/// # Errors
/// It is not what `jobs` is answered with.
pub fn jobs(json: Json<'_>) -> Result<String, Fault> {
    let object = json.object()?;
    let mut rows = vec![BTreeMap::new()];
    let columns = [
        "JOB", "ID", "STATE", "SECONDS", "STDOUT", "STDERR", "COMMAND", "SUBJECT", "ISSUER",
        "ADDRESS", "CLIENT",
    ];
    for job in object.get("jobs").map_or(Ok(vec![]), Json::array)? {
        let job = job.object()?;
        let word = |name| Ok(string(&job, name)?.map(|word| one_line(&word)));
        let number = |name| job.get(name).map(|json| one_line(json.text()));
        let id = job.get("id").map(|id| id.string().map_or(id.text().to_owned(), Into::into));
        let age = integer(&job, "age_ms")? as f64 / 1e3;
        let cells = [
            number("job"),
            id.map(|id| one_line(&id)),
            word("state")?,
            Some(format!("{age:.1}")),
            number("stdout_bytes"),
            number("stderr_bytes"),
            word("command")?,
            word("subject")?,
            word("issuer")?,
            word("address")?,
            word("client")?,
        ];
        let cells = columns.into_iter().zip(cells);
        rows.push(cells.filter_map(|(column, cell)| Some((column, cell?))).collect());
    }
    if rows.len() == 1 {
        return Ok("no command runs or waits\n".to_owned());
    }
    let mut lines = vec![String::new(); rows.len()];
    for column in columns {
        if !rows.iter().any(|row| row.contains_key(column)) {
            continue;
        }
        let cells = rows.iter().enumerate().map(|(at, row)| match at {
            0 => column,
            _ => row.get(column).map_or("-", String::as_str),
        });
        let width = cells.clone().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let numbers = ["JOB", "SECONDS", "STDOUT", "STDERR"].contains(&column);
        for (line, cell) in lines.iter_mut().zip(cells) {
            let _ = match numbers {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:width$}  "),
            };
        }
    }
    let mut text: String = lines.iter().map(|line| format!("{}\n", line.trim_end())).collect();
    if let Some(more) = object.get("more") {
        let _ = writeln!(text, "and {} more", one_line(more.text()));
    }
    Ok(text)
}

fn inner<'a>(object: &Object<'a>, name: &str) -> Result<Object<'a>, Fault> {
    crate::protocol::envelope::field(object, name)?.object()
}

fn integer(object: &Object<'_>, name: &str) -> Result<u64, Fault> {
    crate::protocol::envelope::field(object, name)?.integer()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uptime_ms: u64, ok: u64, bytes: u64) -> String {
        format!(
            r#"{{"version":"1","uptime_ms":{uptime_ms},"commands":{{"running":1,"waiting":0}},
            "totals":{{"requests":{{"compute":{{"ok":{ok},"busy":3}},"os":{{"ok":1}}}},
            "bytes":{{"received":{bytes},"sent":0}}}}}}"#
        )
    }

    #[test]
    fn a_frame_of_status_is_one_line_of_rates_since_the_one_before() {
        let mut frames = Frames::default();
        let mut show =
            |uptime, ok, bytes| frames.show("status", &status(uptime, ok, bytes), false).unwrap();
        let first = show(1000, 10, 0);
        assert!(first.starts_with("  UPTIME s      OK/s"), "{first}");
        let lines: Vec<_> = first.lines().map(str::len).collect();
        assert_eq!(lines, [70, 70], "heading and line are aligned");
        let second = "       3.0      10.0       0.0       2.5       0.0         1         0\n";
        assert_eq!(show(3000, 30, 5000), second);
        let restarted = "       0.5         -         -         -         -         1         0\n";
        assert_eq!(show(500, 0, 0), restarted);
        let headings = (4..=40).filter(|_| show(1000, 0, 0).starts_with("  UPTIME")).count();
        assert_eq!(headings, 1, "each 20 lines");
        assert!(frames.show("status", "{}", false).is_err());
    }

    #[test]
    fn jobs_are_a_table_without_empty_columns() {
        let own = r#"{"jobs":[{"job":7,"id":"a\u001b","command":"backup","state":"running",
            "age_ms":61250,"stdout_bytes":12345,"stderr_bytes":0},{"job":12,"command":"ping",
            "state":"waiting","age_ms":90,"stdout_bytes":0,"stderr_bytes":0}],"more":3}"#;
        let shown = "\
JOB  ID       STATE    SECONDS  STDOUT  STDERR  COMMAND
  7  a\\u{1b}  running     61.2   12345       0  backup
 12  -        waiting      0.1       0       0  ping
and 3 more
";
        let parse = |text: &'static str| jobs(Json::parse(text.as_bytes()).unwrap());
        assert_eq!(parse(own).unwrap(), shown);
        let of_all = r#"{"jobs":[{"job":1,"id":-2,"command":"c","state":"left","age_ms":0,
            "stdout_bytes":0,"stderr_bytes":0,"subject":"ann","address":"local"}]}"#;
        let last = parse(of_all).unwrap();
        assert!(
            last.ends_with("  1  -2  left       0.0       0       0  c        ann      local\n")
        );
        assert_eq!(parse(r#"{"jobs":[]}"#).unwrap(), "no command runs or waits\n");
        assert!(parse(r#"{"jobs":[7]}"#).is_err());
    }

    #[test]
    fn tables_of_a_watch_are_parted_by_a_blank_line_or_wipe_the_terminal() {
        let mut frames = Frames::default();
        let mut show = |terminal| frames.show("jobs", r#"{"jobs":[]}"#, terminal).unwrap();
        let table = "no command runs or waits\n";
        assert_eq!(show(false), table);
        assert_eq!(show(false), format!("\n{table}"));
        assert_eq!(show(true), format!("{WIPE}{table}"));
    }
}
