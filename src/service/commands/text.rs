//! The text of a commands file: its comments, and the lines and columns of its faults.
//!
//! Promises: a comment begins with `//` outside of a string and goes on to the end of its line. It
//! becomes blanks, byte for byte, so that every byte of the rest keeps its place. Each other `/` or
//! `#` outside of a string is told with what a comment looks like.
//! Leaves out: all other syntax, which is `protocol::json`.

use crate::protocol::json::Fault;

/// The text with blanks in place of its comments.
///
/// # Errors
/// A comment of another kind.
pub(super) fn without_comments(text: &str) -> Result<String, Fault> {
    let mut plain = String::with_capacity(text.len());
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        let end = comment(line).map_err(|at| Fault {
            position: position + at,
            message: "JSON: a comment begins with // and ends with its line".to_owned(),
        })?;
        let (kept, comment) = line.split_at_checked(end).unwrap_or((line, ""));
        plain.push_str(kept);
        let blank = |byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' };
        plain.extend(comment.bytes().map(blank));
        position += line.len();
    }
    Ok(plain)
}

/// Where the comment of a line begins: at its end, if there is none. No string of JSON goes on in
/// the next line.
///
/// # Errors
/// Where something begins that may be meant as a comment.
fn comment(line: &str) -> Result<usize, usize> {
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'/' if !in_string => {
                let rest = line.as_bytes().get(at..).unwrap_or_default();
                return if rest.starts_with(b"//") { Ok(at) } else { Err(at) };
            }
            b'#' if !in_string => return Err(at),
            _ => {}
        }
    }
    Ok(line.len())
}

/// The place of a byte, as `LINE:COLUMN`, both from 1; columns count characters.
pub(super) fn place(text: &str, position: usize) -> String {
    let before = text.get(..position).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    format!("{}:{}", before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_becomes_blanks_and_a_string_stays() {
        let cases = [
            ("{} // a \"b\n{}", "{}        \n{}"),
            ("// é\r\n1", "     \r\n1"),
            (r#"["//", "\"//\\", 1] // x"#, r#"["//", "\"//\\", 1]     "#),
            ("\"a\n// b", "\"a\n    "),
            ("", ""),
        ];
        for (text, plain) in cases {
            assert_eq!(without_comments(text).as_deref(), Ok(plain), "{text:?}");
            assert_eq!(text.len(), plain.len());
        }
        for (text, position) in [("{} /* a */", 3), ("1\n # a", 3), ("/", 0)] {
            let fault = without_comments(text).unwrap_err();
            assert_eq!(fault.position, position);
            assert!(fault.message.contains("begins with //"), "{fault}");
        }
    }

    #[test]
    fn places_count_lines_and_characters() {
        let text = "a\né\u{1f600}b\n";
        for (position, wanted) in [(0, "1:1"), (1, "1:2"), (2, "2:1"), (8, "2:3"), (99, "3:1")] {
            assert_eq!(place(text, position), wanted, "{position}");
        }
    }
}
