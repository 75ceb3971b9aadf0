//! The requests of a command line: operands in, request out.
//!
//! Promises: an operand that is missing is named, with an example.
//! Leaves out: options, and the text of a command line, which `bin/zcmd.rs` reads.

use std::collections::BTreeMap;

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
