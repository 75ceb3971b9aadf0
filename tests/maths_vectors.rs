//! The evaluator on cases that others wrote down: the suites of tinyexpr, muParser, mathjs,
//! exprtk, EvalEx, numbat and more.
//!
//! Promises: every row is read, and each one agrees, is refused, or stands in a short list here
//! together with the reason why the design decides otherwise.
//! Leaves out: the data, which are not part of this checkout. Without them the tests say that they
//! are skipped, and fail where `CI` is set.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use zcmd::service::maths::{BadExpression, Value, evaluate};

/// Refused in another suite, but here `**` is a power: 2**3 is 8.
const POWERS: [&str; 2] = ["1**1", "1**5"];

struct Row {
    line: usize,
    fields: Vec<String>,
}

fn rows(file: &str) -> Option<Vec<Row>> {
    let text = house::vectors(file)?;
    let row = |(number, line): (usize, &str)| Row {
        line: number + 1,
        fields: line.split('\t').map(str::to_owned).collect(),
    };
    Some(text.lines().enumerate().skip(1).map(row).collect())
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
}

fn number(result: &Result<Value, BadExpression>) -> Option<f64> {
    match result {
        Ok(Value::Integer(number)) => Some(*number as f64),
        Ok(Value::Real(x)) => Some(*x),
        Err(_) => None,
    }
}

fn agree(file: &str, classes: &[&str], expected_of: impl Fn(&Row) -> f64, at_least: usize) {
    let Some(rows) = rows(file) else { return };
    let mut agreed = 0;
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| classes.contains(&row.fields[3].as_str())) {
        let result = evaluate(&unescaped(&row.fields[0]), &[]);
        let expected = expected_of(row);
        let tolerance: f64 = row.fields[4].parse().unwrap();
        let scale = if expected == 0.0 { 1.0 } else { expected.abs() };
        let is_near = |got: f64| (got - expected).abs() <= tolerance * scale;
        if number(&result).is_some_and(is_near) {
            agreed += 1;
        } else {
            wrong.push(format!("{file}:{}: {}: {result:?}", row.line, row.fields[0]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), agreed, wrong.join("\n"));
    assert!(agreed >= at_least, "only {agreed} rows in {file}");
}

fn written(row: &Row) -> f64 {
    row.fields[1].parse().unwrap()
}

/// The value that the design gives where suites contradict each other, from the row's note.
fn by_design(row: &Row) -> f64 {
    let (_, rest) = row.fields[5].split_once("ours=").expect("a conflict says what is ours");
    rest.split(';').next().unwrap().trim().parse().unwrap()
}

#[test]
fn scalar_cases_agree() {
    agree("math-cases.tsv", &["core", "core+"], written, 918);
}

#[test]
fn where_suites_contradict_each_other_the_design_decides() {
    agree("math-cases.tsv", &["conflict"], by_design, 24);
}

#[test]
fn long_arithmetic_agrees() {
    agree("math-arithmetic.tsv", &["core"], written, 1000);
}

#[test]
fn what_is_no_expression_is_refused_with_a_place_and_a_message() {
    let Some(rows) = rows("math-errors.tsv") else { return };
    let mut refused = 0;
    for row in &rows {
        let text = unescaped(&row.fields[0]);
        let is_taken = row.fields[1] == "we-accept" || POWERS.contains(&text.as_str());
        match evaluate(&text, &[]) {
            Ok(value) => assert!(is_taken, "line {}: {text} = {value}", row.line),
            Err(error) => {
                assert!(!is_taken, "line {}: {text}: {error}", row.line);
                assert!(error.position() <= text.len(), "{text}: {error}");
                assert!(error.to_string().is_ascii(), "{text}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 190, "only {refused} rows");
}
