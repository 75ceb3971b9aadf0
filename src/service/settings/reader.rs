//! Readers for variables: text, a number in a range, one of several words.
//!
//! Promises: an empty variable counts as absent; every error is kept and names the variable, the
//! value and what is allowed. Leaves out: which variables there are.

use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Reads variables and collects the errors.
pub(super) struct Reader<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) faults: Vec<String>,
    pub(super) shown: Vec<(&'static str, String)>,
}

impl Reader<'_> {
    pub(super) fn get(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty())?;
        value.into_string().map_err(|_| self.faults.push(format!("{name} is not UTF-8 text"))).ok()
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.get(name);
        self.shown.push((name, value.clone().unwrap_or_default()));
        value
    }

    pub(super) fn number<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: Copy + fmt::Display + FromStr + PartialOrd,
    {
        let (min, max) = (range.start(), range.end());
        let number = match self.get(name) {
            None => default,
            // Digits only: `parse` alone would accept a sign.
            Some(text) => match text.parse() {
                Ok(number) if range.contains(&number) && !text.starts_with('+') => number,
                _ => {
                    self.faults.push(format!("{name}={text}: must be an integer, {min} to {max}"));
                    default
                }
            },
        };
        self.shown.push((name, number.to_string()));
        number
    }

    pub(super) fn seconds(
        &mut self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(name, default, range))
    }

    /// One of several words; the first is the default.
    pub(super) fn choice(&mut self, name: &'static str, of: &[&'static str]) -> &'static str {
        let default = of.first().copied().unwrap_or_default();
        let wanted = self.get(name).unwrap_or_else(|| default.to_owned());
        let Some(found) = of.iter().find(|word| **word == wanted) else {
            self.faults.push(format!("{name}={wanted}: must be {}", of.join(" or ")));
            return default;
        };
        self.shown.push((name, (*found).to_owned()));
        found
    }

    /// The permissions of a file, in octal as chmod(1) takes them.
    pub(super) fn mode(&mut self, name: &'static str, default: u32) -> u32 {
        let mode = self.get(name).map_or(Some(default), |text| {
            u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777)
        });
        if mode.is_none() {
            self.faults.push(format!("{name}: must be permissions in octal, such as 0660"));
        }
        self.shown.push((name, format!("{:04o}", mode.unwrap_or(default))));
        mode.unwrap_or(default)
    }
}
