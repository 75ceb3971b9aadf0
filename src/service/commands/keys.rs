//! Reading the keys of the commands file: their types, their ranges, and the path in each error.
//!
//! Promises: an error says which key, what is wrong and what is allowed. All errors are kept: none
//! ends the reading.
//! Leaves out: which keys there are.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::protocol::json::{Fault, Json, Object, echo};
pub(super) use crate::service::access::scope::is_name as identifier;
use crate::service::maths::similar;

/// Lists of values that parameters share, by name.
pub(super) type Lists = BTreeMap<String, Vec<String>>;

/// The faults that were found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The value; or nothing, and its fault is kept.
    pub(super) fn keep<T>(&mut self, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.0.push(fault)).ok()
    }

    /// Has a part read, and puts its key before its faults, so that they carry their path on the
    /// way out.
    pub(super) fn inside<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.0.len();
        let value = read(self);
        for fault in self.0.iter_mut().skip(before) {
            let joint = if fault.message.starts_with(['.', '[']) { "" } else { ": " };
            fault.message = format!("{key}{joint}{}", fault.message);
        }
        value
    }

    /// Reads a member, if it is there.
    pub(super) fn member<'a, T>(
        &mut self,
        object: &Object<'a>,
        key: &str,
        read: impl FnOnce(Json<'a>) -> Result<T, Fault>,
    ) -> Option<T> {
        let json = object.get(key)?;
        self.inside(&format!(".{key}"), |faults| faults.keep(read(json)))
    }

    /// Reads an object; a name that is there twice is a fault.
    pub(super) fn object<'a>(&mut self, json: Json<'a>) -> Option<Object<'a>> {
        let (object, repeats) = self.keep(json.object_with_repeats())?;
        for (name, value) in repeats {
            self.0.push(value.fault(format!("the key {} is there twice; keep one", echo(&name))));
        }
        Some(object)
    }

    /// Each key that is not among these is a fault.
    pub(super) fn only(&mut self, object: &Object<'_>, known: &[&str]) {
        for (name, value) in object.members().filter(|(name, _)| !known.contains(name)) {
            let hint = did_you_mean(name, known.iter().copied());
            let (name, known) = (echo(name), known.join(", "));
            self.0.push(value.fault(format!("unknown key {name}{hint}; known here: {known}")));
        }
    }
}

/// The name that was perhaps meant, as a message goes on; nothing if none is similar.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match similar(name.as_bytes(), known) {
        Some(other) => format!(": did you mean {other}?"),
        None => String::new(),
    }
}

pub(super) fn text(json: Json<'_>) -> Result<String, Fault> {
    let text = json.string()?.into_owned();
    if text.contains('\0') {
        return Err(json.fault("holds a NUL"));
    }
    Ok(text)
}

pub(super) fn texts(json: Json<'_>) -> Result<Vec<String>, Fault> {
    json.array()?.into_iter().map(text).collect()
}

pub(super) fn within(range: RangeInclusive<u64>) -> impl Fn(Json<'_>) -> Result<u64, Fault> {
    move |json| {
        json.integer().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            json.fault(format!("must be an integer, {} to {}", range.start(), range.end()))
        })
    }
}

pub(super) fn count(max: usize) -> impl Fn(Json<'_>) -> Result<usize, Fault> {
    let read = within(1..=max as u64);
    move |json| Ok(usize::try_from(read(json)?).unwrap_or(max))
}

pub(super) fn seconds(max: u64) -> impl Fn(Json<'_>) -> Result<Duration, Fault> {
    let read = within(1..=max);
    move |json| read(json).map(Duration::from_secs)
}

pub(super) fn absolute(json: Json<'_>) -> Result<String, Fault> {
    let path = text(json)?;
    if !path.starts_with('/') {
        return Err(json.fault("must be an absolute path, such as /usr/bin/uptime"));
    }
    Ok(path)
}
