//! `zcmdd` runs the OS commands that a host's owner has allowed, and evaluates mathematical
//! expressions, for clients that hold a valid token; `zcmd` is its client.
//!
//! The modules, in the order in which a request passes them:
//!
//! | module | what for | may name |
//! |---|---|---|
//! | [`limits`] | every bound: value, unit, reason | – |
//! | [`port`] | the boundary: events, actions, plain data | limits |
//! | [`protocol`] | bytes ⇄ values, for both programs | port, limits |
//! | [`service`] | every decision; pure | protocol, port, limits |
//! | [`system`] | every touch of the machine; no decisions | port, limits |
//! | [`daemon`] | the loop; knows service and system | service, protocol, system, port, limits |
//! | [`client`] | connect, ask, print, exit status | protocol, system, port, limits |
//!
//! `tests/rooms/` holds this table against the source.

pub mod client;
pub mod daemon;
pub mod limits;
pub mod port;
pub mod protocol;
pub mod service;
pub mod system;
