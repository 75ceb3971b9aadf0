//! Text for people: one line of complaint, and a mark under the place where an expression fails.
//!
//! Promises: what a daemon says cannot forge a second line, move the cursor or change the order of
//! what is read, and one line of it is no longer than `SHOWN_CHARACTERS_MAX`. Nothing is coloured.
//! A terminal that went away is no error.
//! Leaves out: answers, but for `one_line` and `visible`, through which all text of theirs for
//! people goes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::status::{self, Failure};
use crate::limits;

/// Whether the lines of this program on standard error are left out.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on, errors and notices are not written: the exit status tells.
pub fn silence() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether they are not written.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes an error to standard error, with its code for programs.
pub fn error(code: &str, message: &str) {
    diagnose(&format!("[{code}] {message}"));
}

/// Writes a failure to standard error, if it has something to say.
pub fn fail(failure: &Failure) {
    if !failure.message.is_empty() {
        error(failure.code, &failure.message);
    }
}

/// Writes one line to standard error.
pub fn diagnose(message: &str) {
    if is_quiet() {
        return;
    }
    let line = one_line(message);
    match line.char_indices().nth(limits::SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => show(&format!("zcmd: {}…", line.get(..end).unwrap_or_default())),
        None => show(&format!("zcmd: {line}")),
    }
}

/// Writes a text to standard error, and a line feed.
pub fn show(text: &str) {
    // Without a reader, the error has no reader either.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Shows how far a long job is, in a line of a terminal that the next such line, or `""`, wipes.
pub fn progress(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
}

/// What it means that standard output takes no more.
pub fn unwritten(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::quiet(status::UNREAD),
        _ => Failure::uncertain(format!("cannot write to standard output: {error}")),
    }
}

/// The text as a terminal may show it: control characters, format characters such as those that
/// change the direction or have no width, line and paragraph separators, and what is no character
/// of Unicode are escaped.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => line.push(character),
            // Behind another character, `escape_debug` leaves an accent as it is.
            _ => line.extend(format!("x{character}").escape_debug().skip(1)),
        }
    }
    line
}

/// What a command wrote, as a terminal may show it: lines and tabs as they are, the rest as by
/// `one_line`, and a byte that is no UTF-8 as `\xff`.
pub fn visible(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for part in chunk.valid().split_inclusive(['\n', '\t']) {
            let end = part.strip_suffix(['\n', '\t']).unwrap_or(part);
            shown.push_str(&one_line(end));
            shown.push_str(part.get(end.len()..).unwrap_or_default());
        }
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}

/// The expression, and under it a caret at the character that begins at byte `position`. Of a
/// long expression, the part around it.
pub fn caret(expression: &str, position: usize) -> String {
    let characters: Vec<(usize, char)> = expression.char_indices().collect();
    let place = characters.iter().take_while(|(at, _)| *at < position).count();
    let first = place.saturating_sub(limits::CARET_CHARACTERS_MAX);
    let end = place.saturating_add(limits::CARET_CHARACTERS_MAX);
    let part = characters.iter().skip(first).take(end.saturating_sub(first));
    let mut line: String = part.map(|(_, character)| one_column(*character)).collect();
    let mut column = place.saturating_sub(first);
    if first > 0 {
        line.insert(0, '…');
        column += 1;
    }
    if end < characters.len() {
        line.push('…');
    }
    format!("{line}\n{:column$}^", "")
}

/// A character that every terminal draws in one column: blanks and controls as a blank, and what
/// might be wide or have no width as `?`.
fn one_column(character: char) -> char {
    match character {
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{3ff}' => character,
        '\u{2010}'..='\u{2027}' | '\u{2190}'..='\u{22ff}' => character,
        _ if character.is_whitespace() || character.is_control() => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_fault() {
        let long = format!("{}$+{}", "1+".repeat(100), "1+".repeat(100));
        let (ones, rest) = ("1+".repeat(30), format!("$+{}", "1+".repeat(29)));
        let long_shown = format!("…{ones}{rest}…\n{:61}^", "");
        let cases = [
            ("2+$", 2, "2+$\n  ^".to_owned()),
            ("(1+2", 4, "(1+2\n    ^".to_owned()),
            ("", 0, "\n^".to_owned()),
            ("1", 99, "1\n ^".to_owned()),
            ("1\t+\n$", 4, "1 + $\n    ^".to_owned()),
            ("2×$", 3, "2×$\n  ^".to_owned()),
            ("2×$", 2, "2×$\n  ^".to_owned()),
            ("漢e\u{301}+$", 7, "?e?+$\n    ^".to_owned()),
            (&long, 200, long_shown),
        ];
        for (expression, position, shown) in cases {
            assert_eq!(caret(expression, position), shown, "{expression:?}");
        }
    }

    #[test]
    fn output_keeps_its_lines_and_obeys_nothing() {
        let cases: [(&[u8], &str); 4] = [
            (b"a\tb\n\nc\n", "a\tb\n\nc\n"),
            (b"\x1b[2J\r\n\x07", "\\u{1b}[2J\\r\n\\u{7}"),
            (b"a\xff\xc3", "a\\xff\\xc3"),
            ("é\u{202e}".as_bytes(), "é\\u{202e}"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(visible(bytes), shown);
        }
    }

    #[test]
    fn a_message_is_one_line() {
        let plain = "a \\ \"b\" 'c' é e\u{301} 漢 हिन्दी ✓";
        assert_eq!(one_line(plain), plain);
        let escaped = [
            ("a\nb\u{1b}[2J é", "a\\nb\\u{1b}[2J é"),
            ("\u{7f}\u{80}\u{9b}2J", "\\u{7f}\\u{80}\\u{9b}2J"),
            ("\u{61c}\u{200e}\u{202e}\u{2066}", "\\u{61c}\\u{200e}\\u{202e}\\u{2066}"),
            (
                "\u{ad}\u{200b}\u{200d}\u{2060}\u{feff}",
                "\\u{ad}\\u{200b}\\u{200d}\\u{2060}\\u{feff}",
            ),
            ("\u{2028}\u{2029}\u{e0041}\u{fffff}", "\\u{2028}\\u{2029}\\u{e0041}\\u{fffff}"),
        ];
        for (text, shown) in escaped {
            assert_eq!(one_line(text), shown);
        }
    }
}
