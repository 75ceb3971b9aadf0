//! The two real programs over real sockets.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod commands;
mod handshakes;
#[path = "../house/mod.rs"]
mod house;
mod log;
mod requests;
mod settings;
mod signals;
mod supervisor;
mod watch;
