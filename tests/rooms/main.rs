//! The architecture rules, checked against the source: which module (nicknamed room) may name
//! which, what a module never uses, and the lengths of files, functions, lines and modules.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lengths;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A room, the rooms that it may name besides itself, and words that must not occur in it.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str]);

const MACHINE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::env",
    "std::os",
    "Instant",
    "SystemTime",
    "zmq::",
    "rustix::",
    "signal_hook",
    "println!",
    "print!",
];

const RULES: &[Rule] = &[
    ("limits", &[], MACHINE),
    ("port", &["limits"], MACHINE),
    ("protocol", &["port", "limits"], MACHINE),
    ("service", &["protocol", "port", "limits"], MACHINE),
    ("system", &["port", "limits"], &["println!", "print!", "thread::sleep"]),
    (
        "daemon",
        &["service", "protocol", "system", "port", "limits"],
        &["println!", "print!", "thread::sleep"],
    ),
    ("client", &["protocol", "system", "port", "limits"], &[]),
    ("bin", &["client", "daemon", "service", "protocol", "system", "port", "limits"], &[]),
];

/// The Rust files below a directory of the repository, by their path in it.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let found = rust_files("src");
    assert!(found.len() > 20, "the source is where it is looked for");
    found
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The part of a file before its tests.
fn own(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

/// The same without comments and blank lines.
fn code(text: &str) -> String {
    let lines = own(text).lines().map(|line| line.split("//").next().unwrap());
    lines.filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n")).collect()
}

/// The rooms that a text names: the word after `crate::` or `zcmd::`.
fn named_rooms(code: &str) -> Vec<&str> {
    let starts = code.match_indices("crate::").chain(code.match_indices("zcmd::"));
    let word = |(at, prefix): (usize, &str)| {
        let rest = &code[at + prefix.len()..];
        &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
    };
    starts.map(word).collect()
}

/// The violations in a file. A path in a group (`use crate::{...}`) has no word after the colons
/// and is a violation too: it would hide the room.
fn offences(file: &str, text: &str) -> Vec<String> {
    let room = room(file);
    if room == "lib" {
        return Vec::new();
    }
    let Some((_, may_name, never)) = RULES.iter().find(|(name, ..)| *name == room) else {
        return vec![format!("{file}: {room} is no room of this house")];
    };
    let code = code(text);
    let mut offences = Vec::new();
    for named in named_rooms(&code) {
        if named != room && !may_name.contains(&named) {
            offences.push(format!("{file}: {room} names {named:?}"));
        }
    }
    for word in never.iter().filter(|word| code.contains(**word)) {
        offences.push(format!("{file}: {room} has {word}"));
    }
    if !text.starts_with("//! ") {
        offences.push(format!("{file}: does not begin by saying what it is for"));
    }
    offences
}

/// A directory and its files in layers, each of which may use only those before it. `mod` stands
/// for all that the directory's mod.rs declares itself, re-exports included.
type Layers = (&'static str, &'static [&'static str]);

const MATHS: Layers = (
    "service/maths",
    &[
        "error",
        "budget",
        "integer",
        "value",
        "functions",
        "builtins",
        "lexer",
        "syntax_errors",
        "parser",
        "suggestions",
        "message",
        "reference",
        "mod",
    ],
);

/// The layers inside the other folders, lowest first.
const LAYERED: &[Layers] = &[
    MATHS,
    ("protocol", &["mod", "json", "curve", "endpoint", "request", "envelope", "reply", "token"]),
    ("protocol/json", &["fault", "visitors", "mod"]),
    ("protocol/reply", &["code", "mod", "read", "write"]),
    ("protocol/token", &["claims", "key", "mod"]),
    (
        "service",
        &[
            "settings",
            "maths",
            "counters",
            "refusal",
            "origin",
            "access",
            "audit",
            "commands",
            "policy",
            "jobs",
            "send_queue",
            "watchers",
            "operations",
            "mod",
        ],
    ),
    (
        "service/access",
        &[
            "throttle",
            "log_budget",
            "clients",
            "scope",
            "roles",
            "opened",
            "caller",
            "authority",
            "mod",
        ],
    ),
    (
        "service/commands",
        &[
            "text",
            "keys",
            "pattern",
            "parameter",
            "arguments",
            "mod",
            "list",
            "parameters_file",
            "entry",
            "file",
        ],
    ),
    ("service/settings", &["reader", "network", "mod"]),
    ("service/jobs", &["output", "job", "mod", "drain", "transitions"]),
    ("daemon", &["load", "start", "supervised", "survive", "mod"]),
];

/// The module path of a file: `service/maths/value.rs` is `[service, maths, value]`.
fn module(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').collect()
}

/// The absolute paths that a file names by `crate::` or `super::`. A group after the colons has no
/// word and ends the path: it would hide the name.
fn named_paths<'a>(file: &'a str, code: &'a str) -> Vec<Vec<&'a str>> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = code.split(|c| !is_path(c)).filter_map(|path| {
        let words: Vec<&str> = path.split("::").collect();
        let ups = words.iter().take_while(|word| **word == "super").count();
        let mut absolute = match words[0] {
            "crate" => Vec::new(),
            "super" => module(file),
            _ => return None,
        };
        if words.len() == ups.max(1) {
            return None; // `pub(super)`
        }
        absolute.truncate(absolute.len().saturating_sub(ups));
        absolute.extend(&words[ups.max(1)..]);
        Some(absolute)
    });
    paths.collect()
}

/// The imports inside a folder that do not point from a later layer to an earlier one, and the
/// files that are in no layer. Imports that only point down have no circle. A subfolder is one
/// layer.
fn upward_imports((folder, layers): Layers, sources: &[(String, String)]) -> Vec<String> {
    let root: Vec<&str> = folder.split('/').collect();
    let rank = |layer: &str| layers.iter().position(|known| *known == layer);
    let layer_of = |path: &[&str]| match path.strip_prefix(root.as_slice()) {
        Some([layer, ..]) if rank(layer).is_some() => Some((*layer).to_owned()),
        Some(_) => Some("mod".to_owned()),
        None => None,
    };
    let mut offences = Vec::new();
    let inside = format!("{folder}/");
    let mut missing: Vec<&str> = layers.to_vec();
    for (file, text) in sources.iter().filter(|(file, _)| file.starts_with(&inside)) {
        let own = module(file).get(root.len()).copied().unwrap_or("mod");
        missing.retain(|layer| *layer != own);
        let Some(own_rank) = rank(own) else {
            offences.push(format!("{file}: {own} is in no layer"));
            continue;
        };
        let code = code(text);
        for path in named_paths(file, &code) {
            let Some(named) = layer_of(&path) else { continue };
            if named != own && rank(&named).is_none_or(|named| named > own_rank) {
                offences.push(format!("{file}: {own} names {named}: {}", path.join("::")));
            }
        }
    }
    offences.extend(missing.iter().map(|layer| format!("{folder}: no file of layer {layer}")));
    offences
}

#[test]
fn every_room_names_only_what_it_may() {
    let sources = sources();
    let offences: Vec<_> = sources.iter().flat_map(|(file, text)| offences(file, text)).collect();
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn only_the_client_reads_a_token_unverified() {
    for (file, text) in sources() {
        let may = ["client", "protocol"].contains(&room(&file));
        assert!(may || !code(&text).contains("unverified"), "{file}");
    }
}

#[test]
fn imports_inside_each_folder_point_down() {
    let sources = sources();
    let offences: Vec<_> = LAYERED.iter().flat_map(|l| upward_imports(*l, &sources)).collect();
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn maths_could_be_a_crate() {
    for (file, text) in sources().iter().filter(|(file, _)| file.starts_with("service/maths/")) {
        let code = code(text);
        for path in named_paths(file, &code) {
            let is_inside = path.starts_with(&["service", "maths"]);
            assert!(is_inside || path[0] == "limits", "{file} names {}", path.join("::"));
        }
    }
}

#[test]
fn the_check_of_layers_bites() {
    const LAYERS: Layers = ("a", &["low", "high", "sub", "mod"]);
    let mod_file = ("a/mod.rs", "mod high;\nmod low;\nuse crate::a::high::X;\npub use low::Y;");
    let offences = |file: &str, text: &str| {
        let mut files = BTreeMap::from([
            mod_file,
            ("a/low.rs", "use crate::limits::X;"),
            ("a/high.rs", "use super::low::Y;"),
            ("a/sub/mod.rs", "use crate::a::low::Y;"),
            ("a/sub/part.rs", "use super::Z;\nuse super::other;\nuse super::super::high::X;"),
            ("b/low.rs", "use crate::a::high::X;"),
        ]);
        files.insert(file, text);
        let own = |(file, text): (&str, &str)| (file.to_owned(), text.to_owned());
        upward_imports(LAYERS, &files.into_iter().map(own).collect::<Vec<_>>())
    };
    assert_eq!(offences(mod_file.0, mod_file.1), Vec::<String>::new());
    for (file, text, wanted) in [
        ("a/low.rs", "use super::high::X;", "low names high"),
        ("a/low.rs", "fn f() { crate::a::high::f() }", "low names high"),
        ("a/low.rs", "use crate::a::sub::part::X;", "low names sub"),
        ("a/low.rs", "use super::Y;", "low names mod"),
        ("a/low.rs", "use super::{high, Y};", "low names mod"),
        ("a/high.rs", "use super::*;", "high names mod"),
        ("a/high.rs", "use super::sub::Z;", "high names sub"),
        ("a/sub/part.rs", "use super::super::Y;", "sub names mod"),
        ("a/sub/deep/part.rs", "use super::super::super::Y;", "sub names mod"),
        ("a/new.rs", "", "new is in no layer"),
    ] {
        let found = offences(file, text);
        assert!(found.iter().any(|offence| offence.contains(wanted)), "{file}: {found:?}");
    }
    let no_files = upward_imports(LAYERS, &[]);
    assert!(no_files.iter().any(|offence| offence.contains("no file of layer low")));
}

#[test]
fn the_check_bites() {
    let cases = [
        ("service/x.rs", "//! x\nuse crate::system::clock;", "names \"system\""),
        ("service/x.rs", "//! x\nuse crate::{system, port};", "names \"\""),
        ("service/x.rs", "//! x\nlet now = Instant::now();", "has Instant"),
        ("service/x.rs", "//! x\nuse std::fs;", "has std::fs"),
        ("protocol/x.rs", "//! x\nuse crate::service::Service;", "names \"service\""),
        ("daemon/x.rs", "//! x\nuse crate::client::bench;", "names \"client\""),
        ("client/x.rs", "//! x\nuse crate::service::maths;", "names \"service\""),
        ("limits.rs", "//! x\nuse crate::port;", "names \"port\""),
        ("system/x.rs", "//! x\nuse crate::protocol::reply;", "names \"protocol\""),
        ("system/x.rs", "//! x\nstd::thread::sleep(TIME);", "has thread::sleep"),
        ("kitchen/x.rs", "//! x\n", "no room of this house"),
        ("service/x.rs", "use crate::port;", "does not begin"),
    ];
    for (file, text, wanted) in cases {
        let found = offences(file, text);
        assert!(found.iter().any(|offence| offence.contains(wanted)), "{file}: {found:?}");
    }
    let allowed = "//! x\n// crate::system is not named\nuse crate::port::Moment;\n\
                  #[cfg(test)]\nmod tests { use std::fs; }\n";
    assert_eq!(offences("service/x.rs", allowed), Vec::<String>::new());
}

#[test]
fn every_limit_is_used_and_has_a_reason() {
    let sources = sources();
    let (_, limits) = sources.iter().find(|(file, _)| file == "limits.rs").unwrap();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    let mut before = "";
    for line in limits.lines() {
        if let Some(rest) = line.strip_prefix("pub const ") {
            let name = rest.split(':').next().unwrap();
            assert!(before.starts_with("/// "), "{name} has no reason");
            uses.insert(name, 0);
        }
        before = line;
    }
    for (_, text) in sources.iter().filter(|(file, _)| file != "limits.rs") {
        for (name, count) in &mut uses {
            *count += own(text).matches(*name).count();
        }
    }
    // A bound is used too if the compile-time checks compare another one with it.
    for line in limits.lines().filter(|line| line.contains("assert!(")) {
        for (name, count) in &mut uses {
            *count += line.matches(*name).count();
        }
    }
    let unused: Vec<_> = uses.iter().filter(|(_, count)| **count == 0).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
