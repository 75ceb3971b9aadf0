//! The corrections: what is changed in the released sources of libzmq, and why.
//!
//! Promises: each edit finds its place exactly once, or the build ends. Each correction names the
//! test that fails without it; they are in `tests/transport.rs` and `tests/memory.rs`.
//! Leaves out: what can be done from outside of libzmq; that is in `src/system/router.rs`.

mod connections;
mod memory;
mod names;

use std::fs;
use std::path::Path;

/// A change to one file: what stands there, exactly once, and what is to stand there.
struct Edit(&'static str, &'static str, &'static str);

/// Applies all corrections to a copy of the sources.
pub(crate) fn apply(sources: &Path) {
    fs::write(sources.join("budget.hpp"), include_str!("../budget.hpp")).expect("room for a file");
    let corrections = [connections::ALL, memory::ALL, names::ALL].concat();
    for Edit(file, before, after) in corrections.into_iter().flatten() {
        let path = sources.join(file);
        let text = fs::read_to_string(&path).expect("a file of libzmq");
        assert_eq!(text.matches(before).count(), 1, "{file} is not the one to correct");
        fs::write(path, text.replace(before, after)).expect("room for a file");
    }
}
