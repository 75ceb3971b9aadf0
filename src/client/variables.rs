//! Variables of an expression, from the command line and from rows of numbers.
//!
//! Promises: for a variable, what is accepted is a number of JSON with the same value, digit for
//! digit. Leading zeros, a plus sign, `.5` and `5.` are accepted, as data files have them.
//! Leaves out: which names an expression takes; the daemon says that.

use crate::limits;
use crate::protocol::json::Json;

/// A number as JSON writes it.
pub fn number(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix('-');
    let sign = if unsigned.is_some() { "-" } else { "" };
    let digits = unsigned.or_else(|| text.strip_prefix('+')).unwrap_or(text);
    let digits = digits.strip_suffix('.').unwrap_or(digits);
    if !digits.contains(|character: char| character.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_start_matches('0');
    let zero =
        if kept.starts_with(|character: char| character.is_ascii_digit()) { "" } else { "0" };
    let number = format!("{sign}{zero}{kept}");
    let json = Json::parse(number.as_bytes()).ok()?;
    (json.text() == number && json.real().is_ok()).then_some(number)
}

/// Reads `NAME=NUMBER`.
///
/// # Errors
/// It is not that.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim(), number(value.trim())));
    match parts {
        Some((name, Some(value))) if !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err(format!("--let {text}: write NAME=NUMBER, as in --let x=3")),
    }
}

/// Reads names, separated by commas.
///
/// # Errors
/// One of them is empty, or there are too many.
pub fn columns(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("--let-columns {text}: write names and commas, as in x,y"));
    }
    if names.len() > limits::VARIABLES_MAX {
        let (count, max) = (names.len(), limits::VARIABLES_MAX);
        return Err(format!("--let-columns: {count} names; at most {max} are allowed"));
    }
    Ok(names)
}

/// Reads a row of numbers, separated by commas or blanks, one for each name.
///
/// # Errors
/// Too few, too many, or something that is no number.
pub fn row(names: &[String], line: &str) -> Result<Vec<(String, String)>, String> {
    let values: Vec<&str> = match line.contains(',') {
        true => line.split(',').map(str::trim).collect(),
        false => line.split_whitespace().collect(),
    };
    if values.len() != names.len() {
        return Err(format!("{} numbers, expected {}", values.len(), names.join(",")));
    }
    let pair = |(name, value): (&String, &str)| match number(value) {
        Some(number) => Ok((name.clone(), number)),
        None => Err(format!("{name}: {} is no number", crate::protocol::json::echo(value))),
    };
    names.iter().zip(values).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let cases = [
            ("3", "3"),
            ("-3.50", "-3.50"),
            ("+3", "3"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("007", "7"),
            ("0", "0"),
            ("00", "0"),
            ("-0", "-0"),
            ("00.10", "0.10"),
            ("1e-3", "1e-3"),
            ("9007199254740993", "9007199254740993"),
        ];
        for (text, written) in cases {
            assert_eq!(number(text).as_deref(), Some(written), "{text}");
        }
        for text in
            ["", "-", ".", "x", "1x", "inf", "nan", "1e999", "0x1F", "--1", "+-1", "1 2", "1,"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn rows_have_one_number_for_each_name() {
        let names = columns("x, y").unwrap();
        for line in ["1,-2", " 1 , -2 ", "1 -2", "\t1\t -2"] {
            let row = row(&names, line).unwrap();
            assert_eq!(row, [("x".into(), "1".into()), ("y".into(), "-2".into())], "{line}");
        }
        assert_eq!(row(&names, "1").unwrap_err(), "1 numbers, expected x,y");
        assert_eq!(row(&names, "1,2,3").unwrap_err(), "3 numbers, expected x,y");
        assert_eq!(row(&names, "1,,").unwrap_err(), "3 numbers, expected x,y");
        assert_eq!(row(&names, "1,").unwrap_err(), "y: \"\" is no number");
        assert_eq!(row(&names, "x,y").unwrap_err(), "x: \"x\" is no number");
        assert!(columns("x,,y").is_err() && columns(&["x"; 17].join(",")).is_err());
        assert_eq!(assignment("x=3"), Ok(("x".into(), "3".into())));
        assert!(
            assignment("x").is_err() && assignment("=1").is_err() && assignment("x=y").is_err()
        );
    }
}
