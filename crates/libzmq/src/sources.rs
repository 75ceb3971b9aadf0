//! The sources: a corrected copy of a release of libzmq, and TweetNaCl from an older one.
//!
//! Promises: each build makes a new copy; a correction that does not match fails the build.

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

/// The edits that do not match these sources: a line for each. `copy` is a directory to create, in
/// which the other edits are applied.
pub fn misplaced(sources: &Path, copy: &Path) -> Vec<String> {
    fs::create_dir_all(copy).expect("room for a directory");
    for file in fs::read_dir(sources).expect("the sources").flatten() {
        fs::copy(file.path(), copy.join(file.file_name())).expect("room for a file");
    }
    corrections::apply(copy)
}

/// A new copy of libzmq's sources. The crate that contains them exposes them only through a build,
/// so one is run: its compilers do nothing, and it links no C++ library.
fn released() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("a build script"));
    let _ = fs::remove_dir_all(out.join("source"));
    let target = env::var("TARGET").expect("a build script");
    let changed = ["CC=true", "CXX=true", "AR=true", "RANLIB=true", "CXXSTDLIB="].map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or_default();
        let name = format!("{name}_{target}");
        let before = env::var_os(&name);
        env::set_var(&name, value);
        (name, before)
    });
    libzmq::Build::new().build();
    for (name, before) in changed {
        match before {
            Some(value) => env::set_var(name, value),
            None => env::remove_var(name),
        }
    }
    out.join("source")
}

/// A file that includes all others: in one unit, the compiler inlines calls between them.
pub(crate) fn whole(sources: &Path) -> PathBuf {
    let names = files(sources).into_iter().filter_map(|path| Some(path.file_name()?.to_owned()));
    let includes = names.map(|name| format!("#include {name:?}\n"));
    // Not one of `files`, which may be listed again.
    let path = sources.join("whole.cc");
    fs::write(&path, includes.collect::<String>()).expect("room for a file");
    path
}

/// All sources of libzmq except WebSockets.
pub(crate) fn files(sources: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sources).expect("the sources");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".cpp") && !name.starts_with("ws")
    });
    files.sort();
    files
}
