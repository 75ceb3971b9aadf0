//! What Tab completes in the menu.
//!
//! Promises: no candidate has a control or format character, so that a daemon's names cannot steer
//! the terminal.
//! Leaves out: hints and colours.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::client::text::one_line;

/// Words that complete what stands before the cursor: an answer that is one word, or the last name
/// of an expression.
pub(super) struct Words(pub(super) Vec<String>);

impl Words {
    /// Where the name before `cursor` begins, and the words that begin with it.
    fn candidates(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let before = line.get(..cursor).unwrap_or_default();
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let whole = self.0.iter().any(|word| !before.is_empty() && word.starts_with(before));
        let start = match whole {
            true => 0,
            false => before.trim_end_matches(part_of_name).len(),
        };
        let begun = before.get(start..).unwrap_or_default();
        let fits = |word: &&String| word.starts_with(begun) && one_line(word) == **word;
        (start, self.0.iter().filter(fits).cloned().collect())
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line, cursor))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_and_steer_nothing() {
        let words = Words(["sin", "sinh", "on\u{1b}[2J", "one two"].map(str::to_owned).to_vec());
        let cases: [(&str, usize, &[&str]); 5] = [
            ("si", 0, &["sin", "sinh"]),
            ("2*(si", 3, &["sin", "sinh"]),
            ("on", 0, &["one two"]),
            ("one t", 0, &["one two"]),
            ("2*x", 2, &[]),
        ];
        for (line, start, found) in cases {
            let found: Vec<String> = found.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(words.candidates(line, line.len()), (start, found), "{line:?}");
        }
    }
}
