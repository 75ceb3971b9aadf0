//! Patterns of values: regular expressions that the whole value must match.
//!
//! Promises: a pattern is anchored at both ends whatever its text says, and a value is one line
//! without control characters. The time for a value is linear in its length, and the size of both
//! is bounded.
//! Leaves out: the syntax of regular expressions, which is that of the crate `regex-lite`.

use regex_lite::{Regex, RegexBuilder};

use crate::limits;

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is too long or too large, has control characters, or is no regular expression.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > limits::PATTERN_BYTES_MAX || text.contains(char::is_control) {
            let max = limits::PATTERN_BYTES_MAX;
            return Err(format!("must be at most {max} bytes without control characters"));
        }
        let build = |text: &str| {
            let built = RegexBuilder::new(text).size_limit(limits::PATTERN_SIZE_MAX).build();
            built.map_err(|error| format!("is no regular expression that is taken: {error}"))
        };
        // By itself first: `a)|(b` would leave the group that anchors it.
        build(text)?;
        let whole = build(&format!(r"\A(?:{text})\z"))?;
        Ok(Self { text: text.to_owned(), whole })
    }

    /// As its owner wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole value.
    pub fn matches(&self, value: &str) -> bool {
        !value.contains(char::is_control) && self.whole.is_match(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_value_or_nothing() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("[a-z]+", &["abc"], &["", "abc1", "1abc", "abc\n", "\nabc", "a\nb", "ABC", "é"]),
            ("a|b", &["a", "b"], &["ab", "a|b", "xa", "bx", "a\nb"]),
            ("^a$|b", &["a", "b"], &["a\nb", "ba", "ab"]),
            ("(?m)^a$", &["a"], &["a\n", "b\na", "a\nb"]),
            ("(?s).", &["x", "é"], &["\n", "\u{85}", "xx", ""]),
            ("", &[""], &["x", "\n"]),
            (r"[^/]{2}", &["ab"], &["a\0", "a/", "abc"]),
            (r"v\d+\.\d+", &["v1.20"], &["v1.", "v٣.1", "v1x2"]),
        ];
        for (text, good, bad) in cases {
            let pattern = Pattern::new(text).unwrap();
            for value in *good {
                assert!(pattern.matches(value), "{text:?} {value:?}");
            }
            for value in *bad {
                assert!(!pattern.matches(value), "{text:?} {value:?}");
            }
        }
        let long = "a".repeat(limits::PATTERN_BYTES_MAX + 1);
        for text in ["a)|(b", "(", "[", "a\n", "(?x)a #", "a{9999}{99}", "(?=a)", r"(a)\1", &long] {
            assert!(Pattern::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_pattern_takes_long_for_the_longest_value() {
        let value = "a".repeat(limits::PARAMETER_BYTES_MAX);
        let begun = std::time::Instant::now();
        for text in ["(a*)*b", "(a|a)*b", "(a|aa)+$b", "((a?){9}){9}b", "(.*a){12}b"] {
            assert!(!Pattern::new(text).unwrap().matches(&value), "{text}");
        }
        // Two of them take an engine that backtracks exponential time.
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
