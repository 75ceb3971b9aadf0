//! The README says what the programs do: its tables are held against the code.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use zcmd::protocol::reply::Code;
use zcmd::service::maths::REFERENCE;
use zcmd::service::settings::Settings;

const README: &str = include_str!("../README.md");

fn rows() -> Vec<&'static str> {
    README.lines().filter(|line| line.starts_with('|')).collect()
}

#[test]
fn every_operator_and_function_has_its_row() {
    for entry in &REFERENCE {
        let cells = format!("| `{}` | `{}` |", entry.example, entry.result);
        assert!(rows().iter().any(|row| row.contains(&cells)), "{}: {cells}", entry.form);
    }
}

#[test]
fn every_variable_and_every_code_is_named() {
    let read = |name: &str| (name == "JWT_SECRET_KEY").then(|| "x".into());
    let settings = Settings::read(&read).unwrap();
    let names = settings.shown.iter().map(|(name, _)| *name);
    for name in names.chain(Code::ALL.iter().map(|code| code.name())) {
        assert!(rows().iter().any(|row| row.contains(&format!("`{name}`"))), "{name}");
    }
}

#[test]
fn every_test_of_the_table_of_old_wounds_is_there() {
    let table = README.split("## Old wounds").nth(1).unwrap().split("\n## ").next().unwrap();
    let sources: String = [
        "tests/story.rs",
        "tests/end_to_end.rs",
        "tests/commands.rs",
        "tests/containment.rs",
        "tests/transport.rs",
        "tests/paths.rs",
        "src/service/commands/arguments.rs",
        "tests/rotation.rs",
        "src/daemon/survive.rs",
        "src/service/access/authority.rs",
        "src/service/config/settings.rs",
        "src/system/files.rs",
        "src/system/line.rs",
        "tests/maths_differential.rs",
        "tests/client/connections.rs",
        "tests/client/hostile.rs",
        "src/client/settings.rs",
        "src/protocol/reply.rs",
        "tests/memory.rs",
        "src/service/send_queue.rs",
        "src/protocol/reply.rs",
        "src/system/zap.rs",
        "src/system/router.rs",
        "src/service/commands/parameter.rs",
        "src/service/access/throttle.rs",
        "src/system/log.rs",
    ]
    .iter()
    .map(|file| std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap())
    .collect();
    let named: Vec<&str> = table.split('`').filter(|word| word.matches('_').count() > 3).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}()")), "{name}");
    }
}
