//! Every decision of the daemon.

pub mod maths;
