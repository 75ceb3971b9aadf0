//! The real client program against a daemon that is played by the tests.
//!
//! The played daemon decodes with the strict reader of the real one, so that a request which it
//! would refuse fails the test. Nothing here sleeps to wait for something: every wait is for a
//! condition, and bounded.

mod answers;
mod batch;
mod connections;
mod menu;
mod played;
mod streams;
