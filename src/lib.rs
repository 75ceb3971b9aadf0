//! The map of the rooms, in the order in which a request walks through them.

pub mod client;
pub mod limits;
pub mod port;
pub mod protocol;
pub mod service;
pub mod system;
