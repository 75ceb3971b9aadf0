//! A fault in a peer's text, and how much of the text a message quotes.
//!
//! Promises: quoted text is short and escaped, without control characters. Leaves out: what counts
//! as a fault.

use std::fmt;

use crate::limits;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset in bytes from the start of the text.
    pub position: usize,
    /// The path of the member at fault, if one is, and what is wrong with it.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (at byte {})", self.message, self.position)
    }
}

/// A peer's text, quoted and escaped for an error message: at most `ECHO_BYTES_MAX` bytes of it.
pub fn echo(text: &str) -> String {
    let mut kept = String::from("\"");
    for character in text.chars() {
        if kept.len() > limits::ECHO_BYTES_MAX {
            kept.push('…');
            break;
        }
        kept.extend(character.escape_default());
    }
    kept.push('"');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_is_short_and_holds_no_control_characters() {
        assert_eq!(echo("a\nb\u{1b}é"), r#""a\nb\u{1b}\u{e9}""#);
        assert!(echo(&"x".repeat(1000)).len() < 2 * limits::ECHO_BYTES_MAX);
    }
}
