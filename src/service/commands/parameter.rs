//! Parameters of commands: their types, and the rule that each value is held to.
//!
//! Promises: the whole value matches or is refused, and a refusal names the parameter, the rule and
//! a good value. What is accepted is passed on byte for byte. A host name has one meaning for all
//! programs: what some of them read as an address is an address as it is usually written.
//! Leaves out: dashes that would make an option of an argument, which is
//! `service::commands::arguments`, and symbolic links and the names in a directory, which
//! `system::beneath` looks at when the command starts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits;
use crate::service::commands::pattern::Pattern;

/// A parameter as the owner declared it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, for placeholders and messages.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// The value when none is given.
    pub default: Option<String>,
    /// Whether it may be left out; then its element of `run` is left out, too.
    pub optional: bool,
    /// Whether a value may make an argument begin with `-`.
    pub dash: bool,
    /// How many values it takes, for the last parameter; 1 otherwise.
    pub repeat: usize,
    /// Whether it is kept out of the log.
    pub secret: bool,
    /// How the command gets its values.
    pub pass: Pass,
}

/// How a command gets the values of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pass {
    /// In its arguments.
    #[default]
    Argument,
    /// In its arguments, as a path to a descriptor of the file.
    Fd,
    /// On its standard input, each as a line.
    Stdin,
    /// In the variable with the name of the parameter.
    Env,
}

impl Pass {
    /// The value of the key `pass`; none for an argument.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Argument => None,
            Self::Fd => Some("fd"),
            Self::Stdin => Some("stdin"),
            Self::Env => Some("env"),
        }
    }

    /// Whether values stand in the arguments.
    pub(super) fn is_argument(self) -> bool {
        matches!(self, Self::Argument | Self::Fd)
    }
}

/// What the values of a parameter are.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Decimal digits, with a minus sign when `min` is negative.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Decimal digits with at most one point, with a minus sign when `min` is negative.
    Number {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// One of these.
    Choice(Vec<String>),
    /// The name of an entry of this directory, which `system` looks for when the command starts.
    Entry {
        /// Absolute, without a slash at its end.
        directory: String,
    },
    /// A text of which the whole matches.
    Pattern {
        /// What it matches.
        pattern: Pattern,
        /// Its greatest length in bytes.
        bytes_max: usize,
    },
    /// A host name, or an IPv4 or IPv6 address in its usual spelling.
    Host,
    /// Letters, digits, `_`, `.` and `-`; not dots alone.
    Word {
        /// Its greatest length in bytes.
        bytes_max: usize,
    },
    /// A host name (RFC 1123, 2.1), or an IPv4 address as four decimal numbers.
    Hostname,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A path beneath this directory.
    Path {
        /// Absolute, without a slash at its end.
        under: String,
    },
    /// Anything but control characters.
    Text {
        /// Its greatest length in bytes.
        bytes_max: usize,
    },
}

impl Kind {
    /// The name of the type in the commands file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Number { .. } => "number",
            Self::Choice(_) | Self::Entry { .. } => "choice",
            Self::Pattern { .. } => "pattern",
            Self::Host => "host",
            Self::Word { .. } => "word",
            Self::Hostname => "hostname",
            Self::Ip => "ip",
            Self::Path { .. } => "path",
            Self::Text { .. } => "text",
        }
    }

    /// The directory that values lie in, and the key that names it.
    pub(super) fn directory(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Path { under, .. } => Some(("under", under)),
            Self::Entry { directory } => Some(("of_directory", directory)),
            _ => None,
        }
    }

    /// The rule, for people.
    fn rule(&self) -> String {
        match self {
            Self::Integer { min, max: i64::MAX } => format!("an integer, {min} or more"),
            Self::Integer { min, max } => format!("an integer from {min} to {max}, such as {min}"),
            Self::Number { min, max: f64::MAX } => format!("a number, {min} or more"),
            Self::Number { min, max } => format!("a number from {min} to {max}, such as {min}"),
            Self::Choice(of) => format!("one of {}", of.join(", ")),
            Self::Entry { directory } => format!("the name of something in {directory}"),
            Self::Pattern { pattern, bytes_max } => {
                let pattern = pattern.text();
                format!("a text of at most {bytes_max} bytes that matches {pattern} as a whole")
            }
            Self::Host => "a host name or an IP address in its usual spelling, such as \
                           www.example.org, 192.0.2.1 or 2001:db8::1"
                .to_owned(),
            Self::Word { bytes_max } => {
                format!("1 to {bytes_max} letters, digits, _ . or -, such as eth0")
            }
            Self::Hostname => {
                "a host name or an IPv4 address, such as www.example.org or 192.0.2.1".to_owned()
            }
            Self::Ip => "an IP address, such as 192.0.2.1 or 2001:db8::1".to_owned(),
            Self::Path { under, .. } => {
                let whole = under.trim_end_matches('/');
                format!("a path beneath {under}, without .., such as {whole}/file")
            }
            Self::Text { bytes_max } => {
                format!("at most {bytes_max} bytes without control characters, such as hello")
            }
        }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Integer { min, max } => {
                decimal(value, false, *min < 0)
                    && value.parse().is_ok_and(|number: i64| (*min..=*max).contains(&number))
            }
            Self::Number { min, max } => {
                decimal(value, true, *min < 0.0)
                    && value.parse().is_ok_and(|number: f64| (*min..=*max).contains(&number))
            }
            Self::Choice(of) => of.iter().any(|choice| choice == value),
            Self::Word { bytes_max } => {
                value.len() <= *bytes_max
                    && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
                    && value.bytes().any(|byte| byte != b'.')
            }
            Self::Entry { .. } => entry(value),
            Self::Pattern { pattern, bytes_max } => {
                value.len() <= *bytes_max && pattern.matches(value)
            }
            Self::Host => hostname(value) || usual_ipv6(value),
            Self::Hostname => hostname(value),
            Self::Ip => value.parse::<IpAddr>().is_ok(),
            Self::Path { under, .. } => beneath(under, value).is_some(),
            Self::Text { bytes_max } => {
                value.len() <= *bytes_max && !value.contains(char::is_control)
            }
        }
    }

    /// Whether values with a minus sign were declared.
    fn is_signed(&self) -> bool {
        match self {
            Self::Integer { min, .. } => *min < 0,
            Self::Number { min, .. } => *min < 0.0,
            Self::Choice(of) => of.iter().any(|choice| choice.starts_with('-')),
            _ => false,
        }
    }
}

impl Parameter {
    /// What to say when there is no value.
    pub fn missing(&self) -> String {
        format!("parameter {} is missing; it is {}", self.name, self.kind.rule())
    }

    /// What to say when more values are given than it takes.
    pub fn too_many(&self, given: usize) -> String {
        let Self { name, repeat, .. } = self;
        match repeat {
            1 => format!("parameter {name}: takes one value, and {given} are given"),
            most => format!("parameter {name}: takes {most} values at most, and {given} are given"),
        }
    }

    /// Whether an argument may begin with a value of it that begins with `-`.
    pub fn may_begin_with_dash(&self) -> bool {
        self.dash || self.kind.is_signed()
    }

    /// What to say when a value makes an argument begin with `-`, and may not.
    pub fn dashed(&self) -> String {
        format!(
            "parameter {}: must not make an argument begin with -, unless its entry says \
             \"dash\": true; it is {}",
            self.name,
            self.kind.rule()
        )
    }

    /// Checks a value and gives what stands for it in an argument.
    ///
    /// # Errors
    /// The rule that the value breaks. The value is not repeated: it may be a secret.
    pub fn accept(&self, value: &str) -> Result<String, String> {
        let rule = self.kind.rule();
        let fits = value.len() <= limits::PARAMETER_BYTES_MAX && !value.contains('\0');
        if !fits || !self.kind.matches(value) {
            return Err(format!("parameter {}: must be {rule}", self.name));
        }
        Ok(match &self.kind {
            Kind::Path { under, .. } => beneath(under, value).unwrap_or_default(),
            _ => value.to_owned(),
        })
    }
}

/// Digits, with a fraction and a minus sign where these are allowed: no blanks, no exponent, no
/// `+`, no other alphabet's digits, no names such as `inf`.
fn decimal(value: &str, fraction: bool, minus: bool) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = value.strip_prefix('-').filter(|_| minus).unwrap_or(value);
    match value.split_once('.') {
        Some((whole, part)) => fraction && digits(whole) && digits(part),
        None => digits(value),
    }
}

/// RFC 1123, 2.1 and RFC 1035, 2.3.4. A name whose last label is a number is an address to
/// inet_aton(3) and browsers (WHATWG URL, "ends in a number"), in many spellings: here in one.
fn hostname(value: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last = value.rsplit('.').next().unwrap_or(value);
    let hexadecimal = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match is_number {
        true => value.parse::<Ipv4Addr>().is_ok(),
        false => value.len() <= 253 && value.split('.').all(label),
    }
}

/// An IPv6 address as RFC 5952 writes it. One of IPv4 in that form is another spelling of it.
fn usual_ipv6(value: &str) -> bool {
    let address = value.parse::<Ipv6Addr>();
    address.is_ok_and(|ip| ip.to_ipv4_mapped().is_none() && ip.to_string() == value)
}

/// A name that may stand in a directory, and that no program takes for an option, for a hidden
/// file or for a path.
fn entry(value: &str) -> bool {
    (1..=limits::ENTRY_BYTES_MAX).contains(&value.len())
        && !value.starts_with(['-', '.'])
        && !value.contains(|c: char| c == '/' || c.is_control())
}

/// The absolute path that a value means: beneath `under`, with neither `.` nor `..` nor empty
/// components, so that it reads the same to people, to the program and to the kernel.
fn beneath(under: &str, value: &str) -> Option<String> {
    let under = under.trim_end_matches('/');
    let inside = match value.starts_with('/') {
        true => value.strip_prefix(under)?.strip_prefix('/')?,
        false => value,
    };
    let fine = |part: &str| !part.is_empty() && part != "." && part != "..";
    let lawful = inside.split('/').all(fine) && !inside.contains(char::is_control);
    lawful.then(|| format!("{under}/{inside}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind) -> Parameter {
        let name = "p".to_owned();
        let (default, optional, dash, secret) = Default::default();
        Parameter { name, kind, default, optional, dash, repeat: 1, secret, pass: Pass::Argument }
    }

    #[test]
    fn each_type_takes_what_it_says_and_nothing_else() {
        let long = "x".repeat(5000);
        let cases: &[(Kind, &[&str], &[&str])] = &[
            (
                Kind::Integer { min: 1, max: 10 },
                &["1", "10", "007"],
                &["", "0", "11", "-1", "+1", "1.0", "1e0", " 1", "1\n", "0x1", "٣", "1;id", "-0"],
            ),
            (Kind::Integer { min: -5, max: 5 }, &["-5", "5"], &["-6", "--5", "-"]),
            (
                Kind::Number { min: -1.5, max: 2.0 },
                &["-1.5", "2", "0.25"],
                &["2.1", "inf", "nan", "1e0", ".5", "1.", "1.2.3", "-"],
            ),
            (Kind::Choice(vec!["on".into(), "off".into()]), &["on"], &["", "o", "on ", "ON"]),
            (
                Kind::Word { bytes_max: 4 },
                &["eth0", "a.b", "_"],
                &["", ".", "..", "abcde", "a b", "a/b", "é", "$x", "a\0"],
            ),
            (
                Kind::Hostname,
                &["a", "www.example.org", "10.0.0.1", "xn--bcher-kva.example"],
                &["", ".", "a.", ".a", "a..b", "-a", "a-.b", "a_b", "a b", "bücher", &long],
            ),
            (
                Kind::Host,
                &["a", "www.example.org", "10.0.0.1", "::1", "2001:db8::1", "::"],
                &[
                    "",
                    "127.1",
                    "0x7f.1",
                    "2130706433",
                    "0:0:0:0:0:0:0:1",
                    "2001:DB8::1",
                    "2001:0db8::1",
                    "::ffff:127.0.0.1",
                    "::ffff:7f00:1",
                    "::127.0.0.01",
                    "[::1]",
                    "::1%lo",
                    "-a",
                    "a_b",
                    "a b",
                    "::1\n",
                ],
            ),
            (
                Kind::Entry { directory: "/etc".into() },
                &["passwd", "a b", "é", "a-b.c"],
                &["", ".", "..", ".x", "-x", "a/b", "/etc", "a\nb", "a\0", &long],
            ),
            (
                Kind::Pattern { pattern: Pattern::new("a+|b").unwrap(), bytes_max: 4 },
                &["aaaa", "b"],
                &["", "ab", "aaaaa", "a\n", "xa"],
            ),
            (
                Kind::Ip,
                &["10.0.0.1", "::1", "2001:db8::1"],
                &["", "10.0.0", "10.0.0.256", "010.0.0.1", "::1%eth0", "[::1]", "localhost"],
            ),
            (
                Kind::Text { bytes_max: 20 },
                &["", "a; rm -rf / $(id)", "é ü"],
                &["a\nb", "a\tb", "a\u{7f}", "a\u{85}", &long],
            ),
        ];
        for (kind, good, bad) in cases {
            let parameter = of(kind.clone());
            for value in *good {
                assert_eq!(parameter.accept(value).as_deref(), Ok(*value), "{kind:?}");
            }
            for value in *bad {
                let message = parameter.accept(value).expect_err(value);
                assert!(message.starts_with("parameter p: must "), "{message}");
                assert!(value.len() < 6 || !message.contains(value), "{message}");
            }
        }
    }

    #[test]
    fn old_wound_a_host_name_that_is_an_address_in_another_spelling() {
        let parameter = of(Kind::Hostname);
        let good = ["127.0.0.1", "0.0.0.0", "7.example", "0x7f.example", "a.0xg", "1.2.3.4a"];
        for value in good {
            assert_eq!(parameter.accept(value).as_deref(), Ok(value));
        }
        let other_spellings = [
            "0x7f.1",
            "2130706433",
            "127.1",
            "0177.0.0.1",
            "0x7f000001",
            "0X7F.0.0.1",
            "127.0.0.0x1",
            "127.0.0.01",
            "1.2.3.4.5",
            "256.0.0.1",
            "0",
            "0x",
            "example.09",
        ];
        for value in other_spellings {
            let message = parameter.accept(value).expect_err(value);
            assert!(message.contains("must be a host name or an IPv4 address"), "{message}");
        }
    }

    #[test]
    fn a_path_stays_beneath_its_directory() {
        let parameter = of(Kind::Path { under: "/var/log".into() });
        let good = [("a", "/var/log/a"), ("a/b.c", "/var/log/a/b.c"), ("/var/log/x", "/var/log/x")];
        for (value, path) in good {
            assert_eq!(parameter.accept(value).as_deref(), Ok(path));
        }
        let bad = [
            "",
            ".",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "/etc/passwd",
            "/var/log",
            "/var/log/",
            "/var/logs/x",
            "/var/log/../x",
            "//var/log/x",
            "a//b",
            "a/",
            "a\nb",
            "~/x\0",
        ];
        for value in bad {
            assert!(parameter.accept(value).is_err(), "{value:?}");
        }
        let root = of(Kind::Path { under: "/".into() });
        assert_eq!(root.accept("etc/passwd").as_deref(), Ok("/etc/passwd"));
        assert_eq!(root.accept("/etc/passwd").as_deref(), Ok("/etc/passwd"));
    }
}
