//! Reading the keys of the commands file: their types, their ranges, and the path in each error.
//!
//! Promises: an error says which key, what is wrong and what is allowed.
//! Leaves out: which keys there are.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits;
use crate::protocol::json::{Fault, Json, Object};

/// Puts the key before a fault, so that faults carry their path on the way out.
pub(super) fn named<T>(key: &str, value: Result<T, Fault>) -> Result<T, Fault> {
    value.map_err(|fault| {
        let joint = if fault.message.starts_with(['.', '[']) { "" } else { ": " };
        Fault { message: format!("{key}{joint}{}", fault.message), ..fault }
    })
}

/// Reads a member, if it is there, and puts its key before a fault of it.
pub(super) fn member<'a, T>(
    object: &Object<'a>,
    key: &str,
    read: impl Fn(Json<'a>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    object.get(key).map(|json| named(&format!(".{key}"), read(json))).transpose()
}

pub(super) fn text(json: Json<'_>) -> Result<String, Fault> {
    let text = json.string()?.into_owned();
    if text.contains('\0') {
        return Err(json.fault("holds a NUL"));
    }
    Ok(text)
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

/// Whether a word may name a command, a parameter or a placeholder.
pub(super) fn identifier(word: &str) -> bool {
    (1..=limits::NAME_BYTES_MAX).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && !word.starts_with(['-', '.'])
}
