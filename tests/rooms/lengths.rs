//! The lengths of files, functions, lines and modules. Lines of code are lines without tests,
//! comments and blanks.

use std::fs;
use std::path::Path;

use crate::{code, own, rust_files};

/// Lines of code of a file.
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARACTERS_MAX: usize = 100;

/// The budget of lines of code of each module, and what they are for: the present number, and up to
/// 5 % more.
const BUDGETS: &[(&str, usize, &str)] = &[
    ("src/bin", 720, "two command lines and the help of the daemon"),
    ("src/client", 5000, "subcommands, menu, batch, hosts by name, many hosts, files, help"),
    ("src/daemon", 580, "the loop, the start, the supervisor, the handling of a panic"),
    ("src/lib.rs", 7, "the names of the rooms"),
    ("src/limits.rs", 165, "one line a bound"),
    ("src/port.rs", 235, "events, actions and the data between the parts"),
    ("src/protocol", 1220, "requests, replies, tokens and strict JSON, both ways"),
    ("src/service", 4750, "every decision but maths: access, commands, jobs, replies, settings"),
    ("src/service/maths", 1790, "an evaluator with exact integers, messages and a reference"),
    ("src/system", 2400, "sockets, children, cgroups, orphans, files, the log, the supervisor"),
    ("crates/bench", 950, "the benchmark of README and performance"),
    ("crates/libzmq", 990, "the build of libzmq, with its corrections"),
];
/// The budget of a crate without a line above.
const CRATE_LINES_MAX: usize = 1200;

/// The name and the text of each file in `src` and in the sources of `crates`.
fn all_sources() -> Vec<(String, String)> {
    let named = |folder: &'static str| {
        let name = move |(file, text)| (format!("{folder}/{file}"), text);
        rust_files(folder).into_iter().map(name)
    };
    named("src").chain(named("crates")).collect()
}

fn lines(text: &str) -> usize {
    code(text).lines().count()
}

/// Lines of code by module of `BUDGETS`: of two names that match, the longer one.
fn lines_by_module() -> Vec<(String, usize, usize)> {
    let mut modules: Vec<(String, usize, usize)> =
        BUDGETS.iter().map(|(name, most, _)| ((*name).to_owned(), 0, *most)).collect();
    for (file, text) in all_sources() {
        let is_test = file.starts_with("crates/") && file.split('/').nth(2) != Some("src");
        if is_test {
            continue;
        }
        let is_in = |name: &str| file == name || file.starts_with(&format!("{name}/"));
        let fitting = modules.iter_mut().filter(|(name, ..)| is_in(name));
        if let Some((_, sum, _)) = fitting.max_by_key(|(name, ..)| name.len()) {
            *sum += lines(&text);
        } else {
            let name = file.split('/').take(2).collect::<Vec<_>>().join("/");
            assert!(name.starts_with("crates/"), "{name} has no budget");
            modules.push((name, lines(&text), CRATE_LINES_MAX));
        }
    }
    modules
}

/// Functions that are too long; a function ends at the brace with its own indentation.
fn long_functions(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = &line[..line.len() - trimmed.len()];
        let words = ["fn ", "pub fn ", "pub(super) fn ", "const fn ", "pub const fn "];
        if !words.iter().any(|word| trimmed.starts_with(word)) || line.ends_with('}') {
            continue;
        }
        let end = lines[start..].iter().position(|line| *line == format!("{indent}}}"));
        if end.is_some_and(|length| length + 1 > FUNCTION_LINES_MAX) {
            long.push(format!("{file}:{}: {trimmed}", start + 1));
        }
    }
    long
}

fn too_long(file: &str, text: &str) -> Vec<String> {
    let mut offences = long_functions(file, own(text));
    let lines = lines(text);
    if lines > FILE_LINES_MAX {
        offences.push(format!("{file}: {lines} lines"));
    }
    for (index, line) in own(text).lines().enumerate() {
        // In crates/, rustfmt bounds the lines of code; comments have tables, as documents do.
        if line.chars().count() > LINE_CHARACTERS_MAX && file.starts_with("src/") {
            offences.push(format!("{file}:{}: a long line", index + 1));
        }
    }
    offences
}

#[test]
fn files_functions_and_lines_are_short() {
    let sources = all_sources();
    let offences: Vec<_> = sources.iter().flat_map(|(file, text)| too_long(file, text)).collect();
    assert!(offences.is_empty(), "{offences:#?}");
    let silent = |(_, text): &&(String, String)| !text.starts_with("//! ");
    let silent: Vec<_> = sources.iter().filter(silent).map(|(file, _)| file).collect();
    assert!(silent.is_empty(), "these have no module docs: {silent:?}");
}

#[test]
fn the_check_of_lengths_bites() {
    let cases = [
        format!("fn long() {{\n{}}}\n", "    a();\n".repeat(FUNCTION_LINES_MAX)),
        "a();\n".repeat(FILE_LINES_MAX + 1),
        "a".repeat(LINE_CHARACTERS_MAX + 1),
    ];
    for text in cases {
        assert_eq!(too_long("src/x.rs", &text).len(), 1, "{text}");
        assert_eq!(too_long("src/x.rs", &format!("#[cfg(test)]\nmod tests {{\n{text}}}")).len(), 0);
    }
}

#[test]
fn every_module_is_within_its_budget() {
    let modules = lines_by_module();
    for (name, lines, most) in &modules {
        println!("{name:18} {lines:5} lines of code, at most {most:5}");
    }
    let offences: Vec<_> =
        modules.iter().filter(|(_, lines, most)| lines > most || *lines == 0).collect();
    assert!(offences.is_empty(), "over their budgets, or not there: {offences:?}");
}

/// The text of a section of the architecture.
fn section(heading: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    section.split("\n## ").next().unwrap().to_owned()
}

fn number(text: &str) -> usize {
    text.trim().replace(',', "").parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

#[test]
fn the_architecture_tells_the_lines_by_module() {
    let section = section("Lines of code by module");
    let row = |name: &str| {
        let row = section.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let row = row.unwrap_or_else(|| panic!("no row for {name}"));
        number(row.trim_end_matches(" |").rsplit(" | ").next().unwrap())
    };
    let modules = lines_by_module();
    let all = modules.iter().filter(|(name, ..)| name.starts_with("src/"));
    let all = ("all of `src`".to_owned(), all.map(|(_, lines, _)| lines).sum());
    let named = modules.iter().filter(|(.., most)| *most != CRATE_LINES_MAX);
    let each = named.map(|(name, lines, _)| (format!("`{name}`"), *lines));
    for (name, lines) in each.chain([all]) {
        let told = row(&name);
        assert!(told.abs_diff(lines) * 20 <= lines, "{name} has {lines} lines, {told} are told");
    }
}

#[test]
fn the_files_that_see_bytes_before_a_token_holds_are_few() {
    let section = section("Bytes before a token holds");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let files: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let all = all_sources();
    let text = |file: &&str| &all.iter().find(|(name, _)| name == file).unwrap().1;
    let lines: usize = files.iter().map(|file| lines(text(file))).sum();
    let told = number(section.split("at most ").nth(1).unwrap().split(' ').next().unwrap());
    assert!(files.len() > 8 && lines <= told && told < lines + 100, "{lines} lines of {files:?}");
}
