//! Strangers and clients at the real daemon's socket: what was known to hurt a libzmq, CURVE, and
//! what an owner sees of both.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod curve;
#[path = "../house/mod.rs"]
mod house;
mod peers;
mod readers;
mod routing;
mod sockets;
mod strangers;
