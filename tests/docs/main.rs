//! The documents say what the programs do: their tables are held against the code, their links
//! resolve, and their console blocks are run as printed.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod console;
mod examples;
#[path = "../house/mod.rs"]
mod house;
mod links;

use std::fs;
use std::path::{Path, PathBuf};

use zcmd::client::help;
use zcmd::protocol::reply::Code;
use zcmd::service::maths::REFERENCE;
use zcmd::service::operations;
use zcmd::service::settings::Settings;

/// Lines of the README: one page.
const README_LINES_MAX: usize = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files of a folder with this ending, in the folders within it as well.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("target") || path.ends_with("node_modules") => {}
                true => folders.push(path),
                false => found.push(path.strip_prefix(root()).unwrap().display().to_string()),
            }
        }
    }
    found.retain(|name| name.ends_with(ending));
    found.sort();
    found
}

/// Copies the clients in other languages to another folder, where they may be built.
fn copy_examples(folder: &Path) {
    for file in files("examples", "") {
        let to = folder.join(file.strip_prefix("examples/").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root().join(&file), to).unwrap();
    }
}

/// All documents.
fn pages() -> Vec<String> {
    let more =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"];
    more.into_iter().map(str::to_owned).chain(files("docs", ".md")).collect()
}

/// Whether a row of a table of this page has these cells, one after the other.
fn has_row(page: &str, cells: &str) -> bool {
    text(page).lines().any(|line| line.starts_with('|') && line.contains(cells))
}

/// Whether the first cell of a row of a table of this page names this.
fn names(page: &str, name: &str) -> bool {
    let page = text(page);
    let mut cells = page.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    cells.any(|cell| cell.contains(name))
}

#[test]
fn every_operator_and_function_has_its_row() {
    for entry in &REFERENCE {
        let cells = format!("| `{}` | `{}` |", entry.example, entry.result);
        assert!(has_row("docs/maths.md", &cells), "{}: {cells}", entry.form);
    }
}

#[test]
fn every_variable_and_every_code_is_named() {
    let read = |name: &str| (name == "JWT_SECRET_KEY").then(|| "x".into());
    for (name, _) in Settings::read(&read).unwrap().shown {
        assert!(names("docs/configuration.md", &format!("`{name}`")), "{name}");
    }
    for code in Code::ALL {
        assert!(names("docs/protocol.md", &format!("`{}`", code.name())), "{}", code.name());
    }
}

#[test]
fn every_operation_has_its_row_and_every_field_of_it_too() {
    for operation in operations::ALL {
        let fields: Vec<_> = operation.fields.iter().map(|name| format!("`{name}`")).collect();
        let fields = if fields.is_empty() { "–".to_owned() } else { fields.join(", ") };
        let scope = operation.scope.map_or("–".to_owned(), |word| format!("`{word}`"));
        let limited = if operation.limited { "yes" } else { "no" };
        let (name, about) = (operation.name, operation.about);
        let row = format!("| `{name}` | {about} | {fields} | {scope} | {limited} |");
        assert!(has_row("docs/protocol.md", &row), "{row}");
        for field in operation.fields {
            assert!(names("docs/protocol.md", &format!("`{field}`")), "{field}");
        }
    }
}

#[test]
fn every_key_of_the_commands_file_is_named() {
    let schema: serde_json::Value =
        serde_json::from_str(&text("scripts/commands.schema.json")).unwrap();
    let entry = &schema["additionalProperties"]["properties"];
    let types = &entry["parameters"]["items"]["properties"]["type"]["enum"];
    let keys = entry.as_object().unwrap().keys().map(String::as_str);
    for name in keys.chain(types.as_array().unwrap().iter().map(|name| name.as_str().unwrap())) {
        assert!(names("docs/commands-file.md", &format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_subcommand_option_and_variable_of_the_client_is_named() {
    for help::Subcommand { name, .. } in help::SUBCOMMANDS {
        assert!(names("docs/client.md", &format!("`{name}")), "{name}");
    }
    let page = text("docs/client.md");
    let rows: String = page.lines().filter(|line| line.starts_with('|')).collect();
    for setting in help::SETTINGS {
        for name in setting.names().chain([setting.variable]).filter(|name| name.len() > 2) {
            let word = |end: &str| rows.contains(&format!("`{name}{end}"));
            assert!(word("`") || word(" "), "{name}");
        }
    }
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let sources = [files("tests", ".rs"), files("src", ".rs")].concat();
    let sources: String = sources.iter().map(|file| text(file)).collect();
    let mut count = 0;
    for page in pages() {
        for name in text(&page).split('`').filter(|word| word.matches('_').count() > 3) {
            if name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte))
            {
                assert!(sources.contains(&format!("fn {name}()")), "{page}: {name}");
                count += 1;
            }
        }
    }
    assert!(count > 30, "the tables are where they are looked for: {count}");
}

/// The files that the table of regression tests means by this name.
fn place(name: &str) -> Vec<String> {
    let [file, folder] = [format!("tests/{name}.rs"), format!("tests/{name}/")];
    let mut found = [files("tests", ".rs"), files("src", ".rs")].concat();
    match name.ends_with(".rs") {
        true => {
            found.retain(|path| path.starts_with("src/") && path.ends_with(&format!("/{name}")))
        }
        false => found.retain(|path| *path == file || path.starts_with(&folder)),
    }
    found
}

#[test]
fn every_regression_test_is_where_its_row_says() {
    let page = text("docs/security.md");
    let table = page.split("\n## Regression tests\n").nth(1).unwrap();
    let mut count = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let mut sources = String::new();
        for word in cell.split('`').skip(1).step_by(2) {
            if word.matches('_').count() > 3 {
                assert!(sources.contains(&format!("fn {word}()")), "{word}: {row}");
                count += 1;
            } else {
                sources = place(word).iter().map(|file| text(file)).collect();
            }
        }
    }
    assert!(count > 30, "the table is where it is looked for: {count}");
}

#[test]
fn the_architecture_is_that_of_the_source() {
    let page = "docs/architecture.md";
    for row in text("src/lib.rs").lines().filter(|line| line.starts_with("//! | [")) {
        let row = row.trim_start_matches("//! ").replace(['[', ']'], "");
        assert!(has_row(page, &row), "{row}");
    }
    let cargo = text("Cargo.toml");
    let dependencies = cargo.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next();
    let entries: Vec<_> =
        dependencies.unwrap().lines().filter_map(|line| line.split_once(" = ")).collect();
    assert!(entries.len() > 8, "{entries:?}");
    for (name, _) in entries {
        assert!(names(page, &format!("`{name}`")), "no reason for {name}");
    }
}

#[test]
fn every_file_that_a_document_names_is_there() {
    for page in pages() {
        let page_text = text(&page);
        for name in page_text.split('`') {
            let folder = ["src/", "tests/", "scripts/", "docs/", "crates/", "examples/", "deploy/"];
            let is_name = folder.iter().any(|folder| name.starts_with(folder))
                && !name.contains([' ', '*', '\n', '<']);
            assert!(!is_name || root().join(name).exists(), "{page}: {name} is not there");
        }
    }
}

#[test]
fn the_readme_is_one_page() {
    let lines = text("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "{lines}");
}
