//! Parameters of a command by name, from the command line: `-p NAME=VALUE` and `-p NAME@FILE`.
//!
//! Promises: only what stands between the option and the name says where a value is from; no value
//! is looked at for that. What is read of a file is bounded. No value stands in an error.
//! Leaves out: which names a command takes; the daemon says that.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdin};

use crate::limits;
use crate::system::files::read_within;

/// Parameters by name, each with its values in order.
#[derive(Debug, Default)]
pub struct Named(BTreeMap<String, Vec<Source>>);

/// Where a value is from.
#[derive(Debug, PartialEq)]
enum Source {
    Argument(String),
    File(String),
    StandardInput,
}

impl Named {
    /// Adds what the option says.
    ///
    /// # Errors
    /// It is neither `NAME=VALUE` nor `NAME@FILE`, or standard input is named twice.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let at = text.find(['=', '@']).filter(|at| *at > 0);
        let parts = at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)));
        let Some((name, rest)) = parts else {
            // The text may be a secret.
            return Err("-p: write NAME=VALUE, as in -p lines=3, or NAME@FILE".to_owned());
        };
        let source = match (text.get(name.len()..), rest) {
            (Some("@"), _) => return Err(format!("-p {name}@: the name of the file is missing")),
            (Some("@-"), _) if self.reads_stdin() => {
                return Err("-p: standard input is the value of one parameter".to_owned());
            }
            (Some("@-"), _) => Source::StandardInput,
            (Some(own), file) if own.starts_with('@') => Source::File(file.to_owned()),
            (_, value) => Source::Argument(value.to_owned()),
        };
        self.0.entry(name.to_owned()).or_default().push(source);
        Ok(())
    }

    /// Whether one of the values is standard input.
    pub fn reads_stdin(&self) -> bool {
        self.0.values().flatten().any(|source| *source == Source::StandardInput)
    }

    /// The values. One that is in a file loses the line feed at its end.
    ///
    /// # Errors
    /// A file cannot be read, or is no text, or longer than a value may be.
    pub fn read(self) -> Result<BTreeMap<String, Vec<String>>, String> {
        let read = |(name, sources): (String, Vec<Source>)| {
            let values = sources.into_iter().map(|source| source.read(&name));
            let values = values.collect::<Result<_, _>>()?;
            Ok((name, values))
        };
        self.0.into_iter().map(read).collect()
    }
}

impl Source {
    fn read(self, name: &str) -> Result<String, String> {
        let bytes_max = limits::PARAMETER_BYTES_MAX + 1;
        let text = match self {
            Self::Argument(value) => return Ok(value),
            Self::StandardInput if stdin().is_terminal() => {
                return Err(format!(
                    "-p {name}@-: standard input is a terminal, which would show the value; \
                     give a file or a pipe, or use zcmd menu"
                ));
            }
            Self::StandardInput => read_within(stdin(), &format!("-p {name}@-"), bytes_max),
            Self::File(path) => {
                let what = format!("-p {name}@{path}");
                let file = std::fs::File::open(&path);
                let file = file.map_err(|error| format!("{what}: cannot open it: {error}"))?;
                read_within(file, &what, bytes_max)
            }
        }?;
        let line = text.strip_suffix('\n');
        Ok(line.map(|line| line.strip_suffix('\r').unwrap_or(line)).unwrap_or(&text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_taken_for_a_file() {
        let mut named = Named::default();
        for text in ["a=@/etc/passwd", "a=-", "b=x=y@z", "c="] {
            assert_eq!(named.add(text), Ok(()), "{text}");
        }
        assert!(!named.reads_stdin());
        let read = named.read().unwrap();
        let values: Vec<_> = read.values().flatten().map(String::as_str).collect();
        assert_eq!(values, ["@/etc/passwd", "-", "x=y@z", ""]);
    }

    #[test]
    fn a_file_gives_its_text_without_the_end_of_its_last_line() {
        let path = std::env::temp_dir().join(format!("zcmd-named-{}", std::process::id()));
        let read = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            let mut named = Named::default();
            named.add(&format!("pin@{}", path.display())).unwrap();
            Ok::<_, String>(named.read()?["pin"][0].clone())
        };
        let most = vec![b'x'; limits::PARAMETER_BYTES_MAX + 1];
        let cases: [(&[u8], &str); 4] =
            [(b"1 2\n", "1 2"), (b"1\r\n", "1"), (b"1\n\n", "1\n"), (b"", "")];
        for (text, value) in cases {
            assert_eq!(read(text).unwrap(), value);
        }
        assert_eq!(read(&most).map(|value| value.len()), Ok(most.len()), "the daemon tells it");
        assert!(read(&[most, vec![b'x']].concat()).unwrap_err().contains("is larger than"));
        assert!(read(b"\xff").unwrap_err().ends_with("is not UTF-8 text"));
        std::fs::remove_file(&path).unwrap();
        assert!(read(b"").is_ok() && std::fs::remove_file(&path).is_ok());
        let mut named = Named::default();
        assert_eq!(named.add("a@-"), Ok(()));
        assert!(named.reads_stdin() && named.add("b@-").is_err());
        for text in ["", "a", "=a", "@a", "a@"] {
            assert!(named.add(text).is_err(), "{text}");
        }
    }
}
