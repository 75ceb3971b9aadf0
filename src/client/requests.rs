//! The requests of a command line: operands in, request out.
//!
//! Promises: an operand that is missing is named, with an example.
//! Leaves out: options, and the text of a command line, which `bin/zcmd.rs` reads.

use std::collections::BTreeMap;

use crate::client::settings;
use crate::limits;
use crate::protocol::request::{Ask, Os, Values};

/// The request for the value of an expression, of which these are the parts.
///
/// # Errors
/// There is none.
pub fn compute(
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
///
/// # Errors
/// Its name is missing.
pub fn os(
    mut operands: impl Iterator<Item = String>,
    named: BTreeMap<String, Vec<String>>,
    confirmed: bool,
) -> Result<Os, String> {
    let name = operands.next().ok_or("os: a command is missing; see zcmd list")?;
    let parameters = Values { ordered: operands.collect(), named };
    Ok(Os { name, parameters, confirmed, ..Os::default() })
}

/// The request of `each` for all its hosts; a command may be confirmed, or only explained.
///
/// # Errors
/// It is neither a command nor an expression.
pub fn of_each(
    mut operands: impl Iterator<Item = String>,
    variables: Vec<(String, String)>,
    named: BTreeMap<String, Vec<String>>,
    confirmed: bool,
    explain: bool,
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

/// What is asked once, or at an interval of so many milliseconds.
pub fn watched(what: &'static str, once: Ask, every_ms: Option<u64>) -> Ask {
    every_ms.map_or(once, |every_ms| Ask::Watch { what, every_ms })
}

/// The milliseconds of `--watch=SECONDS`.
///
/// # Errors
/// They are fewer or more than a daemon takes.
pub fn interval(seconds: &str) -> Result<u64, String> {
    let [least, most] = [limits::WATCH_MS_MIN, limits::WATCH_MS_MAX];
    let milliseconds = seconds.parse().map(|seconds: f64| seconds * 1e3);
    match milliseconds {
        Ok(count) if (least as f64..=most as f64).contains(&count) => Ok(count as u64),
        _ => {
            Err(format!("--watch={seconds}: expected seconds, {} to {}", least / 1000, most / 1000))
        }
    }
}

/// The requests to end what has these ids, and these jobs.
///
/// # Errors
/// There is none, or an id is none.
pub fn cancel(ids: impl Iterator<Item = String>, jobs: Vec<u64>) -> Result<Vec<Ask>, String> {
    let by_id = |id: String| Ok(Ask::Cancel { target: Some(settings::id(&id)?), job: None });
    let by_number = |job| Ok(Ask::Cancel { target: None, job: Some(job) });
    let all = ids.map(by_id).chain(jobs.into_iter().map(by_number));
    let all = all.collect::<Result<Vec<_>, String>>()?;
    match all.is_empty() {
        true => Err("cancel: an id is missing; zcmd jobs shows them".into()),
        false => Ok(all),
    }
}
