//! What the owner says: environment variables and files.
//!
//! Promises: read whole or not at all, with all errors told at once. Leaves out: reading; texts are
//! handed in.

pub mod policy;
pub mod settings;
