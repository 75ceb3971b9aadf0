//! The rows of other suites through our evaluator and its peers: agree, wrong, refused.
//!
//! Promises: every evaluator gets the same rows, spelled in its own way where it has another name
//! for a function; a number that is not finite is wrong, a panic is counted apart.
//! Leaves out: rows of class `conflict`, where the suites contradict each other.

use std::path::PathBuf;

use peers::{Peer, Said, spelled_for};

struct Row {
    text: String,
    expected: f64,
    tolerance: f64,
}

fn main() {
    let (cases, arithmetic, errors) =
        (cases("math-cases.tsv"), cases("math-arithmetic.tsv"), errors());
    let sizes = [cases.len(), arithmetic.len(), errors.len()];
    println!("{} expressions, {} long sums, {} texts to refuse", sizes[0], sizes[1], sizes[2]);
    println!(
        "| | agree | wrong | refused | sums agree | wrong | refused | refused | taken | panics |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    // The peers' panics are counted, not told.
    std::panic::set_hook(Box::new(|_| ()));
    for mut peer in peers::all() {
        let (a, b) = (agreement(&mut peer, &cases), agreement(&mut peer, &arithmetic));
        let (refused, taken, panics) = refusals(&mut peer, &errors);
        println!("| {} | {a} | {b} | {refused} | {taken} | {panics} |", peer.name);
    }
}

fn lines(file: &str) -> Vec<Vec<String>> {
    let folder = std::env::var_os("ZCMD_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        PathBuf::from,
    );
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; set ZCMD_VECTORS", path.display()));
    let fields = |line: &str| line.split('\t').map(unescaped).collect();
    text.lines().skip(1).map(fields).collect()
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
}

fn cases(file: &str) -> Vec<Row> {
    let is_core = |fields: &Vec<String>| fields[3] == "core" || fields[3] == "core+";
    let row = |fields: Vec<String>| Row {
        text: fields[0].clone(),
        expected: fields[1].parse().expect("a number"),
        tolerance: fields[4].parse().expect("a number"),
    };
    lines(file).into_iter().filter(is_core).map(row).collect()
}

/// Without those that are expressions here: `**` is a power.
fn errors() -> Vec<String> {
    let is_error = |fields: &Vec<String>| {
        fields[1] != "we-accept" && !["1**1", "1**5"].contains(&fields[0].as_str())
    };
    lines("math-errors.tsv").into_iter().filter(is_error).map(|fields| fields[0].clone()).collect()
}

fn agreement(peer: &mut Peer, rows: &[Row]) -> String {
    let (mut agree, mut wrong, mut refused) = (0, 0, 0);
    for row in rows {
        let scale = if row.expected == 0.0 { 1.0 } else { row.expected.abs() };
        match peer.say(&spelled_for(peer.name, &row.text)) {
            Said::Number(number) if (number - row.expected).abs() <= row.tolerance * scale => {
                agree += 1
            }
            Said::Number(_) => wrong += 1,
            Said::Refused | Said::Panicked => refused += 1,
        }
    }
    format!("{agree} | {wrong} | {refused}")
}

fn refusals(peer: &mut Peer, texts: &[String]) -> (usize, usize, usize) {
    let (mut refused, mut taken, mut panics) = (0, 0, 0);
    for text in texts {
        match peer.say(&spelled_for(peer.name, text)) {
            Said::Number(_) => taken += 1,
            Said::Refused => refused += 1,
            Said::Panicked => panics += 1,
        }
    }
    (refused, taken, panics)
}
