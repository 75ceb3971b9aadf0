//! What is shipped beside the programs: units, the installation.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod balancer;
#[path = "../house/mod.rs"]
mod house;
mod install;
mod static_files;
mod units;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The directory of the built programs.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_zcmdd")).parent().unwrap().to_owned()
}

/// The output of a program of this host, or `None` if it is not installed.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            house::skip(&format!("{}: {error}", command.get_program().display()));
            None
        }
    }
}

/// The files of a directory of the repository, in the directories within it as well.
fn files(directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{directory}/{}", entry.file_name().display());
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&name)),
            false => found.push(name),
        }
    }
    found.sort();
    found
}
