//! Every decision of the daemon.

pub mod caller;
pub mod failures;
pub mod limiter;
pub mod maths;
pub mod parameter;
pub mod settings;
