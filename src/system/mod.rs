//! Every use of the operating system: the socket, child processes, signals, the clock, files, the
//! log.
//!
//! Promises: only the loop's one wait blocks, and a failure of one peer or one child is not a
//! failure of the daemon. Leaves out: decisions, and the meaning of messages.

pub mod beneath;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod files;
pub mod keypair;
pub mod launch;
pub mod line;
pub mod listener;
pub mod log;
pub mod mark;
pub mod orphans;
pub mod random;
pub mod rotation;
pub mod router;
mod running;
pub mod signals;
pub mod supervisor;
pub mod tree;
pub mod watch;
pub mod zap;
