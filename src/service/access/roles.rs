//! Roles: names for many words of a scope, so that a new command needs no new tokens.
//!
//! Promises: a file without an error, or none. A role holds no roles, so there is no circle.
//! Leaves out: who has a role, which tokens say by `role:NAME`.

use std::collections::BTreeMap;

use crate::limits;
use crate::service::access::scope::{check_word, includes, is_name};

/// The words of each role, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Vec<String>>);

impl Roles {
    /// Reads a list: a line for each role, its name and its words, with blanks between. Empty
    /// lines, and those that begin with `#`, mean nothing.
    ///
    /// # Errors
    /// All lines that are wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (mut roles, mut faults) = (BTreeMap::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(name) = words.next().filter(|name| !name.starts_with('#')) else { continue };
            let words: Vec<String> = words.map(str::to_owned).collect();
            let mut wrong = |why: String| faults.push(format!("line {}: {why}", index + 1));
            if !is_name(name) {
                wrong(format!("{name:?}: a role's name is 1 to 64 letters, digits, _ . or -"));
            }
            if words.is_empty() {
                wrong(format!("the role {name} has no words; write those that it stands for"));
            }
            for word in &words {
                match word.starts_with("role:") {
                    true => wrong(format!("{word}: a role holds no roles; write their words")),
                    false => check_word(word).unwrap_or_else(&mut wrong),
                }
            }
            if roles.insert(name.to_owned(), words).is_some() {
                wrong(format!("the role {name} is there twice; keep one"));
            }
        }
        if roles.len() > limits::ROLES_MAX {
            faults.push(format!("more than {} roles", limits::ROLES_MAX));
        }
        if faults.is_empty() { Ok(Self(roles)) } else { Err(faults) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether there is a role of this name.
    pub fn has(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }

    /// Whether a word of a role includes this one. A role that is not there includes nothing.
    pub fn include(&self, role: &str, word: &str) -> bool {
        self.0.get(role).is_some_and(|words| words.iter().any(|own| includes(own, word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_lines_are_told() {
        let text = "# Of this host.\n\n ops  os:backup.* status \nmaths\tcompute\n";
        let roles = Roles::parse(text).unwrap();
        assert_eq!((roles.count(), roles.has("ops"), roles.has("of")), (2, true, false));
        assert!(roles.include("ops", "status") && !roles.include("maths", "status"));
        let text = "a b\n/ compute\nempty\nops role:a status\nops os:*";
        let told = Roles::parse(text).unwrap_err();
        let wanted = [
            "line 1: there is no scope word",
            "line 2: ",
            "line 3: ",
            "line 4: role:a: a role",
            "line 5: the role ops is there",
        ];
        assert_eq!(told.len(), wanted.len(), "{told:#?}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.starts_with(wanted), "{told}");
        }
        let many = (0..=limits::ROLES_MAX).map(|n| format!("r{n} compute\n"));
        assert!(Roles::parse(&many.collect::<String>()).is_err());
    }
}
