//! The real client program against a daemon that is played by the tests.
//!
//! The played daemon decodes with the strict reader of the real one, so that a request which it
//! would refuse fails the test. Nothing here sleeps to wait for something: every wait is for a
//! condition, and bounded.

// Clippy's leave for tests covers functions marked as such, and not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod batch;
mod connections;
mod each;
mod files;
mod hostile;
#[path = "../house/mod.rs"]
mod house;
mod menu;
mod menu_terminal;
mod played;
mod profiles;
mod scripts;
mod slips;
mod streams;
mod terminal;
