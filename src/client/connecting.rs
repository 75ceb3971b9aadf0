//! The way to a connection: which server of a list takes it.
//!
//! Promises: servers are tried in order, each for `CONNECT_SECONDS` at most. Nothing here waits but
//! `finish`, so that many may be under way in one loop.
//! Leaves out: what is sent over the connection.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::client::connection::{Connection, Watched, poll};
use crate::client::handshake::Fault;
use crate::client::settings::Servers;
use crate::client::status::{self, Failure};
use crate::limits;

/// Where to connect, and how much may come from there.
#[derive(Clone)]
pub struct Route {
    /// What owns the sockets.
    pub context: zmq::Context,
    /// The servers to try.
    pub servers: Servers,
    /// Bytes of one reply; a larger one breaks the connection.
    pub reply_bytes_max: usize,
    /// Bytes of replies that libzmq holds, as long as each has the size that it may have.
    pub held_bytes_max: usize,
}

/// A connection that does not stand yet.
pub struct Connecting {
    route: Route,
    /// The servers that are to be tried, the first of them now.
    later: VecDeque<String>,
    /// How else to look for the first one.
    families: &'static [bool],
    attempt: Option<Connection>,
    /// When the first one has had its time.
    patience: Instant,
    /// The last server that took a connection, and why the handshake with it has failed.
    fault: Option<(String, Fault)>,
}

impl Connecting {
    /// Begins to look for the first server.
    ///
    /// # Errors
    /// An address is none, or the machine has no room for a connection.
    pub fn begin(route: Route) -> Result<Self, Failure> {
        let later = VecDeque::from(route.servers.addresses.clone());
        let (families, now) =
            (later.front().map_or(&[][..], |first| families(first)), Instant::now());
        let patience = now + Duration::from_secs(limits::CONNECT_SECONDS);
        let mut this = Self { route, later, families, attempt: None, patience, fault: None };
        this.proceed()?;
        Ok(this)
    }

    /// Heeds what became of the attempt, and begins the next one if it has failed.
    ///
    /// # Errors
    /// No server is left, or as `begin`.
    pub fn step(&mut self) -> Result<Option<Connection>, Failure> {
        while let Some(attempt) = &mut self.attempt {
            match attempt.stands() {
                Some(true) => return Ok(self.attempt.take()),
                None if Instant::now() < self.patience => return Ok(None),
                Some(false) | None => {}
            }
            self.fault = attempt.fault().or(self.fault.take());
            self.attempt = None;
            self.proceed()?;
        }
        Err(self.failure())
    }

    /// Begins the next attempt, if one is left.
    fn proceed(&mut self) -> Result<(), Failure> {
        while let Some(server) = self.later.front() {
            if let Some((ipv6, rest)) = self.families.split_first() {
                let addresses = self.later.iter().skip(1).cloned().collect();
                let servers = Servers { addresses, ..self.route.servers.clone() };
                let later = Route { servers, ..self.route.clone() };
                self.attempt = Some(Connection::begin(server, *ipv6, later)?);
                self.families = rest;
                return Ok(());
            }
            self.later.pop_front();
            self.families = self.later.front().map_or(&[], |next| families(next));
            self.patience = Instant::now() + Duration::from_secs(limits::CONNECT_SECONDS);
        }
        Ok(())
    }

    /// When `step` has something to do, whatever comes.
    pub fn due(&self) -> Instant {
        self.patience
    }

    /// What to wait for before the next `step`.
    pub fn news(&self) -> Option<zmq::PollItem<'_>> {
        self.attempt.as_ref().map(|attempt| attempt.news_item())
    }

    /// Why there is no connection.
    pub fn failure(&self) -> Failure {
        let Servers { addresses, curve } = &self.route.servers;
        let current = self.attempt.as_ref().and_then(Connection::fault);
        Failure::unreachable(match current.or(self.fault.clone()) {
            Some((server, fault)) => {
                let why = fault.words(curve.as_ref());
                format!("a server answers at {server}, and the handshake fails; {why}")
            }
            None => format!(
                "no daemon answers at {}; start zcmdd there, or name another server with --server \
                 or ZCMD_SERVER",
                addresses.join(", ")
            ),
        })
    }

    /// Waits until the connection stands; gives up at the deadline, or when `interrupt` becomes
    /// readable.
    ///
    /// # Errors
    /// As `step`.
    pub fn finish(mut self, deadline: Instant, interrupt: Watched) -> Result<Connection, Failure> {
        loop {
            if let Some(connection) = self.step()? {
                return Ok(connection);
            }
            if Instant::now() >= deadline {
                return Err(self.failure());
            }
            let mut items = vec![zmq::PollItem::from_fd(interrupt.0, interrupt.1)];
            items.extend(self.news());
            poll(&mut items, deadline.min(self.due()))?;
            if items.first().is_some_and(zmq::PollItem::is_readable) {
                return Err(Failure::quiet(status::INTERRUPTED));
            }
        }
    }
}

/// How to look for a server: with IPv6 or without. For a name, without it first: with it, libzmq
/// takes an IPv6 address where there is one, and a daemon may listen at the other one only.
fn families(server: &str) -> &'static [bool] {
    let host = server.strip_prefix("tcp://").and_then(|place| place.rsplit_once(':'));
    match host {
        Some((host, _)) if host.starts_with('[') => &[true],
        Some((host, _)) if host.parse::<Ipv4Addr>().is_err() => &[false, true],
        _ => &[false],
    }
}
