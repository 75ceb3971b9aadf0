//! Which hosts are asked, and how each is reached.
//!
//! Promises: a host that is named twice, or has no usable settings, is told before any is asked;
//! all of them are, one line each.
//! Leaves out: the files behind the settings.

use std::collections::BTreeSet;

use crate::client::settings::{Given, Settings};
use crate::client::status::Failure;
use crate::client::text;
use crate::limits;
use crate::system::files;

/// The hosts of a list that is separated by commas, and of a file that has one a line. Blank lines
/// of it, and lines that begin with `#`, mean nothing.
///
/// # Errors
/// There is none, one is named twice, or they are more than `EACH_HOSTS_MAX`; the file cannot be
/// read.
pub fn names(list: Option<&str>, file: Option<&str>) -> Result<Vec<String>, String> {
    let text = match file {
        Some(path) => files::read(path, limits::HOSTS_FILE_BYTES_MAX)
            .map_err(|why| format!("--hosts: {why}"))?,
        None => String::new(),
    };
    let of_list = list.into_iter().flat_map(|list| list.split(',')).map(str::trim);
    if of_list.clone().any(str::is_empty) {
        return Err("--host: a name is empty; write --host NAME,NAME".to_owned());
    }
    let of_file = text.lines().map(str::trim);
    let of_file = of_file.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<String> = of_list.chain(of_file).map(str::to_owned).collect();
    if names.is_empty() {
        return Err("each: no host is named; write --host NAME,NAME or --hosts FILE".to_owned());
    }
    if names.len() > limits::EACH_HOSTS_MAX {
        return Err(format!("each: {} hosts; at most {}", names.len(), limits::EACH_HOSTS_MAX));
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(format!("each: the host {name:?} is named twice; name it once")),
        None => Ok(names),
    }
}

/// The settings of each host.
///
/// # Errors
/// Those of some hosts are wrong; all are told, the last one by the failure.
pub fn settings(names: &[String], given: &Given) -> Result<Vec<(String, Settings)>, Failure> {
    let (mut all, mut last) = (Vec::with_capacity(names.len()), None);
    for name in names {
        match settings_of(name, given) {
            Ok(settings) => all.push((name.clone(), settings)),
            Err(failure) => {
                let message = format!("{name}: {}", failure.message);
                if let Some(earlier) = last.replace(Failure { message, ..failure }) {
                    text::fail(&earlier);
                }
            }
        }
    }
    last.map_or(Ok(all), Err)
}

/// The settings of one host: an address, or a name of the configuration file.
fn settings_of(host: &str, given: &Given) -> Result<Settings, Failure> {
    let name = Some(host.to_owned());
    let (host, server) = if host.contains("://") { (None, name) } else { (name, None) };
    Settings::gather(&Given { host, server, ..given.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_once_each_and_not_too_many() {
        let many = vec!["h"; limits::EACH_HOSTS_MAX + 1].join(",");
        let cases = [
            (Some("a, b ,c"), Ok(vec!["a", "b", "c"])),
            (None, Err("no host is named")),
            (Some(""), Err("a name is empty")),
            (Some("a,,b"), Err("a name is empty")),
            (Some("a,b,a"), Err("\"a\" is named twice")),
            (Some(&many), Err("257 hosts; at most 256")),
        ];
        for (list, expected) in cases {
            match (names(list, None), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{list:?}: {found:?}, and not {expected:?}"),
            }
        }
    }
}
