//! Whole stories: events go into the service in virtual time, and the trace of what it decides is
//! compared. The test plays the machine.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod harness;
mod jobs;
mod log;
mod queue;
mod requests;
mod shutdown;
mod streams;
mod watch;
