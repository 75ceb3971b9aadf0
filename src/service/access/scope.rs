//! The words of a token's scope: which there can be, and which includes which.
//!
//! Promises: a word that no daemon of this version heeds is told when a token or a role is made.
//! Leaves out: which commands, groups and roles a host has.

use crate::limits;
use crate::service::maths::similar;

/// The words of operations. `service::operations` holds its own against them.
pub const OPERATIONS: [&str; 3] = ["compute", "status", "admin"];

/// Whether a word may name a command, a parameter, a group, a lock or a role.
pub fn is_name(word: &str) -> bool {
    (1..=limits::NAME_BYTES_MAX).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && !word.starts_with(['-', '.'])
}

/// Whether a word of a scope includes another one.
pub fn includes(own: &str, word: &str) -> bool {
    own == word || (own == "os:*" && word.starts_with("os:"))
}

/// Checks that there can be such a word.
///
/// # Errors
/// There cannot; what there can be.
pub fn check_word(word: &str) -> Result<(), String> {
    let is_lawful = match word.split_once(':') {
        Some(("os", "*")) => true,
        Some(("os", name)) => is_name(name.strip_suffix(".*").unwrap_or(name)),
        Some(("role", name)) => is_name(name),
        Some(_) => false,
        None => OPERATIONS.contains(&word),
    };
    if is_lawful {
        return Ok(());
    }
    let hint = match similar(word.as_bytes(), OPERATIONS.into_iter()) {
        Some(other) => format!(": did you mean {other}?"),
        None => String::new(),
    };
    let known = OPERATIONS.join(", ");
    Err(format!(
        "there is no scope word {word:?}{hint}; known are {known}, os:NAME, os:GROUP.*, os:* and \
         role:NAME, with blanks between"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_cannot_be_is_told_with_those_that_can() {
        for word in
            ["compute", "status", "admin", "os:*", "os:a", "os:a.b-c_1", "os:a.b.*", "role:ops"]
        {
            assert_eq!(check_word(word), Ok(()));
        }
        let bad = [
            "",
            "comptue",
            "os",
            "os:",
            "os:a*",
            "os:*.*",
            "os:.*",
            "os:-a",
            "role:*",
            "role:",
            "*",
            "admin:x",
            "compute,status",
            "os:a/b",
        ];
        for word in bad {
            let why = check_word(word).expect_err(word);
            assert!(why.contains("known are compute, status, admin, os:NAME"), "{why}");
        }
        assert!(check_word("comptue").unwrap_err().contains("did you mean compute?"));
    }
}
