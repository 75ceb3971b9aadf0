//! The CURVE keys of admitted clients, and the subjects that each may present tokens of.
//!
//! Promises: a list with an error is refused as a whole. Leaves out: the proof that a peer owns a
//! key, which libzmq requires at the handshake (RFC 26) before it asks about the key.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;
use crate::protocol::curve::CurveKey;

/// An admitted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its name in the log.
    pub name: String,
    /// Its thumbprint: the `cnf` of tokens that are bound to it (RFC 7800).
    pub thumbprint: String,
    /// The subjects whose tokens it may present; empty for all.
    subjects: Vec<String>,
}

/// The admitted keys by their text, of which each has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients(BTreeMap<String, Client>);

impl Client {
    /// Whether this key may present tokens of this subject.
    pub fn may_speak_for(&self, subject: &str) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|known| known == subject)
    }
}

impl Clients {
    /// Reads a list: on each line a key, its name, and its subjects, separated by blanks. Empty
    /// lines and lines that begin with `# ` are ignored.
    ///
    /// # Errors
    /// The lines that are wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (mut clients, mut names, mut faults) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            // A single `#` cannot be a key; a key may begin with one.
            let Some(word) = words.next().filter(|word| *word != "#") else { continue };
            let mut read = || {
                let key = CurveKey::parse(word).map_err(|why| format!("the first word {why}"))?;
                let name = words.next().ok_or("the key has no name")?.to_owned();
                if clients.contains_key(word) || !names.insert(name.clone()) {
                    return Err("the key or its name is there twice".to_owned());
                }
                let subjects = words.by_ref().map(str::to_owned).collect();
                let client = Client { name, thumbprint: key.thumbprint(), subjects };
                clients.insert(word.to_owned(), client);
                Ok(())
            };
            if let Err(why) = read() {
                faults.push(format!("line {}: {why}", index + 1));
            }
        }
        if clients.len() > limits::CLIENTS_MAX {
            faults.push(format!("more than {} keys", limits::CLIENTS_MAX));
        }
        if faults.is_empty() { Ok(Self(clients)) } else { Err(faults) }
    }

    /// The number of keys.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The client with this key.
    pub fn find(&self, key: &str) -> Option<&Client> {
        self.0.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_a_name_and_subjects() {
        let (a, b) = ("0".repeat(40), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
        let clients = Clients::parse(&format!("# keys\n\n{a} one\n{b}  two alice bob\n")).unwrap();
        let (one, two) = (clients.find(&a).unwrap(), clients.find(b).unwrap());
        assert_eq!((one.name.as_str(), two.name.as_str()), ("one", "two"));
        assert!(one.may_speak_for("carol") && two.may_speak_for("bob"));
        assert!(!two.may_speak_for("carol") && !two.may_speak_for("alice bob"));
        assert_eq!(clients.find(&"1".repeat(40)), None);

        let wrong = format!("{a}\n{a} one\nshort two\n{a} three\n{b} one\n");
        let faults = Clients::parse(&wrong).unwrap_err();
        let wanted = [
            "line 1: the key has no name",
            "line 3: the first word is not a CURVE key",
            "line 4: the key or its name",
            "line 5: the key or its name",
        ];
        assert_eq!(faults.len(), wanted.len(), "{faults:?}");
        for (fault, wanted) in faults.iter().zip(wanted) {
            assert!(fault.starts_with(wanted), "{fault}");
        }
    }
}
