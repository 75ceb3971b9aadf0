//! The corrections: changes to the released sources of libzmq, one file for each. A file says what
//! is wrong without the correction, what it changes, where upstream discusses it, and which test
//! fails without it; the tests are in `tests/transport/` and `tests/memory.rs` of zcmd.
//!
//! Promises: each edit matches exactly one place, or the build fails and names all edits that do
//! not.
//! Leaves out: what is possible without changing libzmq; that is in `src/system/router.rs` of zcmd.

mod connections_max;
mod copied_messages;
mod corrected;
mod failure_address;
mod freed_memory;
mod no_descriptor;
mod no_streams;
mod pipes_count_bytes;
mod routing_ids;
mod small_pipes;
mod unfinished_frames;
mod whole_messages;
mod whole_replies;

use std::fs;
use std::path::Path;

/// An edit of one file: a text that occurs exactly once, and its replacement.
struct Edit(&'static str, &'static str, &'static str);

/// The corrections in the order in which they are applied.
const ALL: &[(&str, &[Edit])] = &[
    ("connections_max", connections_max::EDITS),
    ("no_descriptor", no_descriptor::EDITS),
    ("no_streams", no_streams::EDITS),
    ("whole_messages", whole_messages::EDITS),
    ("pipes_count_bytes", pipes_count_bytes::EDITS),
    ("whole_replies", whole_replies::EDITS),
    ("unfinished_frames", unfinished_frames::EDITS),
    ("copied_messages", copied_messages::EDITS),
    ("small_pipes", small_pipes::EDITS),
    ("freed_memory", freed_memory::EDITS),
    ("routing_ids", routing_ids::EDITS),
    ("failure_address", failure_address::EDITS),
    ("corrected", corrected::EDITS),
];

/// Applies all corrections to a copy of the sources; returns a line for each edit that does not
/// match exactly one place.
pub(crate) fn apply(sources: &Path) -> Vec<String> {
    let mut misplaced = Vec::new();
    fs::write(sources.join("budget.hpp"), include_str!("../budget.hpp")).expect("room for a file");
    for (name, edits) in ALL {
        for (number, Edit(file, before, after)) in edits.iter().enumerate() {
            let path = sources.join(file);
            let text = fs::read_to_string(&path).unwrap_or_default();
            let places = text.matches(before).count();
            if places == 1 {
                fs::write(path, text.replace(before, after)).expect("room for a file");
            } else {
                let number = number + 1;
                misplaced.push(format!(
                    "corrections/{name}.rs: edit {number}: {places} places in {file}"
                ));
            }
        }
    }
    misplaced
}
