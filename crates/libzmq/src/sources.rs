//! The sources: a corrected copy of a release of libzmq, and TweetNaCl from an older one.
//!
//! Promises: the copy is made anew by each build; a correction without a place ends the build.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::corrections;

/// The directory of the corrected sources, in `OUT_DIR`.
pub(crate) fn corrected() -> PathBuf {
    let sources = released().join("src");
    let misplaced = corrections::apply(&sources);
    assert!(
        misplaced.is_empty(),
        "These corrections do not fit this release of libzmq; crates/libzmq/src/lib.rs has what to \
         do:\n{}",
        misplaced.join("\n")
    );
    let platform = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform.hpp");
    fs::copy(platform, sources.join("platform.hpp")).expect("room for a file");
    let nacl = tweetnacl::source_dir().join("src");
    for file in ["tweetnacl.c", "tweetnacl.h"] {
        fs::copy(nacl.join(file), sources.join(file)).expect("a file of TweetNaCl");
    }
    sources
}

/// The edits that do not find their place in these sources: a line for each. `copy` is a directory
/// that is made, in which all others are applied.
pub fn misplaced(sources: &Path, copy: &Path) -> Vec<String> {
    fs::create_dir_all(copy).expect("room for a directory");
    for file in fs::read_dir(sources).expect("the sources").flatten() {
        fs::copy(file.path(), copy.join(file.file_name())).expect("room for a file");
    }
    corrections::apply(copy)
}

/// A fresh copy of libzmq's sources. The crate that has them copies them for whatever builds them
/// with it, after it has; its compilers are told to do nothing.
fn released() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("a build script"));
    let _ = fs::remove_dir_all(out.join("source"));
    let target = env::var("TARGET").expect("a build script");
    let tools = ["CC", "CXX", "AR", "RANLIB"].map(|tool| format!("{tool}_{target}"));
    let before = tools.each_ref().map(env::var_os);
    tools.iter().for_each(|tool| env::set_var(tool, "true"));
    libzmq::Build::new().build();
    for (tool, value) in tools.iter().zip(before) {
        match value {
            Some(value) => env::set_var(tool, value),
            None => env::remove_var(tool),
        }
    }
    out.join("source")
}

/// All of libzmq but WebSockets.
pub(crate) fn compiled(sources: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sources).expect("the sources");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".cpp") && !name.starts_with("ws")
    });
    files.sort();
    files
}
