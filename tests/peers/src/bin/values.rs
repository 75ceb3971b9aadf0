//! One expression a line from standard input, its value or nothing a line on standard output.
//!
//! Promises: as many lines as came in. For `scripts/maths-python`.
//! Leaves out: the messages.

use std::io::{BufRead, BufWriter, Write};

fn main() -> std::io::Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        match zcmd::service::maths::evaluate(&line?, &[]) {
            Ok(value) => writeln!(output, "{value}")?,
            Err(_) => writeln!(output)?,
        }
    }
    output.flush()
}
