//! Every touch of the machine: the socket, child processes, signals, the clock, files, the log.
//!
//! Promises: nothing blocks but the one wait of the loop, and no failure of one peer or one child
//! is a failure of the daemon. Leaves out: decisions, and the meaning of a message.

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
pub mod tree;
pub mod watch;
pub mod zap;
