//! Writes the seeds of the fuzz targets: the string literals of the tests' own tables, each a file
//! in `FOLDER/TARGET`:
//!
//!     seeds PROJECT FOLDER
//!
//! Promises: needs nothing but the standard library, and the same sources give the same files.
//! Leaves out: literals with `{{`, which are formats. What they become, the fuzzer finds by itself.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Each target, and the files whose literals are its seeds.
const SOURCES: &[(&str, &[&str])] = &[
    ("commands", &["src/service/commands", "tests/story"]),
    ("evaluate", &["src/service/maths", "tests/maths_differential.rs", "tests/maths_vectors.rs"]),
    (
        "json",
        &[
            "src/protocol",
            "src/protocol/json",
            "src/protocol/reply",
            "src/protocol/token",
            "tests/attack_tokens.rs",
            "src/client/catalogue.rs",
        ],
    ),
    ("keys", &["src/protocol/curve.rs", "src/protocol/token", "src/service/access"]),
    ("replies", &["src/protocol/reply", "src/client", "tests/client"]),
    ("requests", &["src/service/operations", "tests/story", "tests/end_to_end"]),
    ("tokens", &["src/protocol/token", "tests/attack_tokens.rs", "src/service/access"]),
];

const HEADER: &[u8] = br#"{"alg":"HS256"}"#;
const PAYLOAD: &[u8] = br#"{"sub":"a","exp":1800000060}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [project, folder] = &arguments[..] else { return Err("seeds PROJECT FOLDER".into()) };
    for (target, sources) in SOURCES {
        let mut seeds = BTreeSet::new();
        for source in *sources {
            for file in files(&project.join(source))? {
                seeds.extend(literals(&fs::read(file)?));
            }
        }
        match *target {
            "commands" => drop(seeds.insert(fs::read(project.join("scripts/commands.json"))?)),
            "tokens" => seeds = seeds.into_iter().flat_map(signed).collect(),
            "replies" => seeds = seeds.into_iter().flat_map(answered).collect(),
            _ => {}
        }
        write(&folder.join(target), seeds)?;
    }
    write(&folder.join("framing"), layouts())?;
    Ok(())
}

/// The Rust sources at a path, which is one or a folder of some.
fn files(path: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    Ok(paths?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect())
}

/// The string literals of a source: plain, raw and of bytes.
fn literals(mut text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        text = match first {
            b'/' if rest.starts_with(b"/") => after(rest, b"\n"),
            // A character, unless it is a lifetime.
            b'\'' if rest.first() == Some(&b'\\') => after(&rest[2..], b"'"),
            b'\'' if rest.get(1) == Some(&b'\'') => &rest[2..],
            b'r' if rest.starts_with(b"\"") || rest.starts_with(b"#\"") => {
                let end: &[u8] = if rest[0] == b'#' { b"\"#" } else { b"\"" };
                let inside = &rest[end.len()..];
                let behind = after(inside, end);
                found.push(inside[..inside.len() - behind.len()].to_vec());
                if let Some(whole) = found.last_mut().filter(|whole| whole.ends_with(end)) {
                    whole.truncate(whole.len() - end.len());
                }
                behind
            }
            b'"' => {
                let (literal, behind) = plain(rest);
                found.push(literal);
                behind
            }
            _ => rest,
        };
    }
    found.retain(|literal| !literal.windows(2).any(|pair| pair == b"{{"));
    found
}

/// What comes after a word; nothing, if it does not come.
fn after<'a>(text: &'a [u8], word: &[u8]) -> &'a [u8] {
    let at = text.windows(word.len()).position(|window| window == word);
    at.map_or(&[], |at| &text[at + word.len()..])
}

/// A plain literal after its first quotation mark, unescaped, and what comes after it.
fn plain(mut text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut literal = Vec::new();
    loop {
        match text {
            [] | [b'"', ..] => return (literal, text.get(1..).unwrap_or_default()),
            [b'\\', b'\n', rest @ ..] => text = rest.trim_ascii_start(),
            [b'\\', b'x', high, low, rest @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
                literal.push(16 * digit(high) + digit(low));
                text = rest;
            }
            [b'\\', b'u', b'{', rest @ ..] => {
                let behind = after(rest, b"}");
                let digits = &rest[..rest.len() - behind.len()];
                let digits = String::from_utf8_lossy(digits).replace('}', "");
                let code = u32::from_str_radix(&digits, 16).unwrap_or(0);
                let character = char::from_u32(code).unwrap_or_default();
                literal.extend(character.to_string().bytes());
                text = behind;
            }
            [b'\\', escaped, rest @ ..] => {
                literal.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'0' => 0,
                    other => *other,
                });
                text = rest;
            }
            [byte, rest @ ..] => {
                literal.push(*byte);
                text = rest;
            }
        }
    }
}

/// A literal of the tokens' tests: an object is a header and a payload to be signed.
fn signed(literal: Vec<u8>) -> Vec<Vec<u8>> {
    match literal.first() {
        Some(b'{') => {
            let join = |parts: [&[u8]; 2]| parts.join(&b'\n');
            vec![join([HEADER, &literal]), join([&literal, PAYLOAD])]
        }
        _ => vec![literal],
    }
}

/// A literal of the client's tests: JSON may be a whole reply, and the result of one.
fn answered(literal: Vec<u8>) -> Vec<Vec<u8>> {
    let reply = [br#"{"status":"ok","result":"#.as_slice(), &literal, b"}"].concat();
    match literal.first() {
        Some(b'{' | b'[') => vec![literal, reply],
        _ => vec![literal],
    }
}

/// Messages of one to five frames, each of them empty, short or long; and one of each bound.
fn layouts() -> BTreeSet<Vec<u8>> {
    let mut layouts = BTreeSet::new();
    let kinds: [&[u8]; 3] = [&[0, 0], &[0, 2, b'{', b'}'], &[1, 1]];
    let last = |frame: &[u8]| [&[frame[0] | 2], &frame[1..]].concat();
    let mut beginnings = vec![Vec::new()];
    for _ in 0..5 {
        for beginning in &beginnings {
            layouts.extend(kinds.map(|frame| [beginning.clone(), last(frame)].concat()));
        }
        let longer = |beginning: &Vec<u8>| kinds.map(|frame| [beginning, frame].concat());
        beginnings = beginnings.iter().flat_map(longer).collect();
    }
    for frames in 6..=9 {
        layouts.insert([kinds[0].repeat(frames), last(kinds[1])].concat());
    }
    // 126, 128 and 254 KiB, the last two in two frames.
    for lengths in [[0, 63], [1, 63], [64, 64], [127, 1]] {
        layouts.insert(vec![1, lengths[0], 3, lengths[1], 2, 2, b'{', b'}']);
    }
    layouts
}

fn write(folder: &Path, seeds: BTreeSet<Vec<u8>>) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    // Fewer would mean that the tests were moved and this list was not.
    if seeds.len() < 10 {
        return Err(format!("{}: {} seeds", folder.display(), seeds.len()).into());
    }
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), seed)?;
    }
    Ok(())
}
