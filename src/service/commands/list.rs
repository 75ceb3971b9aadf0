//! What `list` tells of commands and parameters.
//!
//! Promises: the rules for values, and no default that is a secret.
//! Leaves out: what the owner did not write for callers: programs, users, limits.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::protocol::raw;
use crate::service::access::caller::Caller;
use crate::service::commands::parameter::{Kind, Parameter};
use crate::service::commands::{Command, Commands, rule};

impl Commands {
    /// What this caller may do.
    pub fn list<'a>(&'a self, caller: &Caller) -> List<'a> {
        let may = |(name, own): &(&String, &Command)| rule(caller, name, Some(own)).is_some();
        let mine = self.0.iter().filter(may);
        let commands = mine.map(|(name, command)| Listed { name, command }).collect();
        List { compute: caller.may("compute"), commands }
    }
}

/// The answer to `list`.
#[derive(Debug)]
pub struct List<'a> {
    pub(super) compute: bool,
    pub(super) commands: Vec<Listed<'a>>,
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("compute", &self.compute)?;
        out.serialize_entry("commands", &self.commands)?;
        out.end()
    }
}

/// A command as `list` shows it.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    pub(super) name: &'a str,
    pub(super) command: &'a Command,
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("name", self.name)?;
        if let Some(about) = &self.command.about {
            out.serialize_entry("about", about)?;
        }
        if let Some(group) = &self.command.scope_group {
            out.serialize_entry("scope_group", group)?;
        }
        if self.command.confirm {
            out.serialize_entry("confirm", &true)?;
        }
        out.serialize_entry("parameters", &self.command.declared.parameters)?;
        out.end()
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("name", &self.name)?;
        out.serialize_entry("type", self.kind.name())?;
        match &self.kind {
            Kind::Integer { min, max } => {
                out.serialize_entry("min", min)?;
                if *max < i64::MAX {
                    out.serialize_entry("max", max)?;
                }
            }
            Kind::Number { min, max } => {
                // As the owner wrote them: 60, not 60.0.
                let bounds = [("min", *min), ("max", *max)];
                for (name, bound) in bounds.into_iter().filter(|(_, bound)| *bound < f64::MAX) {
                    out.serialize_entry(name, &raw(&bound.to_string())?)?;
                }
            }
            Kind::Choice(of) => out.serialize_entry("of", of)?,
            Kind::Word { bytes_max } | Kind::Text { bytes_max } => {
                out.serialize_entry("max_bytes", bytes_max)?;
            }
            Kind::Path { under } => out.serialize_entry("under", under)?,
            Kind::Entry { directory } => out.serialize_entry("of_directory", directory)?,
            Kind::Pattern { pattern, bytes_max } => {
                out.serialize_entry("pattern", pattern.text())?;
                out.serialize_entry("max_bytes", bytes_max)?;
            }
            Kind::Host | Kind::Hostname | Kind::Ip => {}
        }
        if let Some(pass) = self.pass.name() {
            out.serialize_entry("pass", pass)?;
        }
        if let (Some(default), false) = (&self.default, self.secret) {
            out.serialize_entry("default", default)?;
        }
        if self.optional {
            out.serialize_entry("optional", &true)?;
        }
        if self.dash {
            out.serialize_entry("dash", &true)?;
        }
        if self.repeat > 1 {
            out.serialize_entry("repeat", &self.repeat)?;
        }
        if self.secret {
            out.serialize_entry("secret", &true)?;
        }
        out.end()
    }
}
