//! Who is let in, at the handshake of a connection.
//!
//! Promises: with CURVE, a listed key and nobody else; without it, everybody whom the endpoint
//! reaches. An address that has had its share of handshakes is asked to come again; loopback and
//! `ipc` share a wide one.
//! Leaves out: what a peer may do once it is in; that is for its token to say.

use std::net::IpAddr;
use std::time::Duration;

use crate::limits;
use crate::port::{Action, Handshake, Level, Moment, Verdict};
use crate::service::Service;
use crate::service::audit::{self, name_of};
use crate::service::clients::Clients;
use crate::service::failures::{Failures, Network};
use crate::service::limiter::{Buckets, Rate};

/// The door.
#[derive(Debug)]
pub struct Door {
    budget: Buckets<Network>,
    /// Of this host: loopback and `ipc`.
    local_budget: Buckets<()>,
    /// Whose being turned away gets a line in the log.
    pub strangers: Failures,
}

impl Door {
    /// A door that nobody has come to.
    pub fn new() -> Self {
        let rate = |per_minute, burst| Rate { per_minute, burst };
        let far = rate(limits::HANDSHAKES_PER_MINUTE, limits::HANDSHAKE_BURST);
        let local = rate(limits::LOCAL_HANDSHAKES_PER_MINUTE, limits::LOCAL_HANDSHAKE_BURST);
        Self {
            budget: Buckets::new(far, limits::ADDRESSES_MAX),
            local_budget: Buckets::new(local, 1),
            strangers: Failures::new(limits::HANDSHAKE_LINES_PER_MINUTE),
        }
    }

    /// Decides on a peer; and says why, unless it is let in.
    pub fn judge(
        &mut self,
        clients: Option<&Clients>,
        handshake: &Handshake,
        now: Duration,
    ) -> (Verdict, &'static str) {
        let listed = |clients: &Clients| {
            handshake.key.as_deref().is_some_and(|key| clients.find(key).is_some())
        };
        if !clients.is_none_or(listed) {
            return (Verdict::Denied, "the key is not in CURVE_CLIENTS_FILE");
        }
        let far = handshake.address.filter(|address| !address.is_loopback());
        let taken = match far {
            Some(_) => self.budget.take(&Network::of(far), now),
            None => self.local_budget.take(&(), now),
        };
        if taken.is_err() {
            return (Verdict::Later, "too many handshakes from this address");
        }
        (Verdict::Admitted, "")
    }
}

impl Service {
    pub(super) fn handshake(&mut self, now: &Moment, handshake: Handshake, out: &mut Vec<Action>) {
        let clients = self.rules.clients.as_ref();
        let (verdict, why) = self.door.judge(clients, &handshake, now.uptime);
        if verdict != Verdict::Admitted {
            self.turn_away(now, handshake.address, handshake.key.clone(), why, out);
        }
        out.push(Action::Judge(handshake, verdict));
    }

    pub(super) fn turn_away(
        &mut self,
        now: &Moment,
        address: Option<IpAddr>,
        key: Option<String>,
        why: &str,
        out: &mut Vec<Action>,
    ) {
        self.counters.turned_away += 1;
        if self.door.strangers.gets_a_line(Network::of(address), now.uptime) {
            let mut fields = vec![("address", name_of(address)), ("reason", why.into())];
            fields.extend(key.map(|key| ("key", key.into())));
            out.push(audit::line(Level::Warn, "turned_away", fields));
        }
    }
}

impl Default for Door {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_come_in_and_each_address_has_its_share() {
        let mut door = Door::new();
        let key = "0".repeat(40);
        let clients = Clients::parse(&format!("{key} one")).unwrap();
        let at = |address: &str, key: Option<&str>| Handshake {
            ticket: [Vec::new(), Vec::new()],
            address: address.parse().ok(),
            key: key.map(str::to_owned),
        };
        let now = Duration::ZERO;
        let mut verdict =
            |clients, handshake: &Handshake, now| door.judge(clients, handshake, now).0;
        let (none, unknown) = (at("10.0.0.1", None), at("10.0.0.1", Some(&"1".repeat(40))));
        let listed = at("10.0.0.1", Some(&key));
        assert_eq!(verdict(None, &none, now), Verdict::Admitted);
        for stranger in [&none, &unknown] {
            assert_eq!(verdict(Some(&clients), stranger, now), Verdict::Denied);
        }
        for _ in 1..limits::HANDSHAKE_BURST {
            assert_eq!(verdict(Some(&clients), &listed, now), Verdict::Admitted);
        }
        assert_eq!(verdict(Some(&clients), &listed, now), Verdict::Later);
        assert_eq!(verdict(None, &none, now), Verdict::Later);
        for other in ["10.0.0.2", "127.0.0.1", "local"] {
            assert_eq!(verdict(None, &at(other, None), now), Verdict::Admitted);
        }
        assert_eq!(verdict(None, &none, Duration::from_secs(1)), Verdict::Admitted);
        let local = ["127.0.0.1", "::1", "local"].map(|address| at(address, None));
        let admitted = (0..2 * limits::LOCAL_HANDSHAKE_BURST as usize).filter(|number| {
            let local = &local[number % local.len()];
            verdict(None, local, now) == Verdict::Admitted
        });
        assert_eq!(admitted.count(), limits::LOCAL_HANDSHAKE_BURST as usize - 2);
        assert_eq!(verdict(None, &at("10.0.0.3", None), now), Verdict::Admitted);
    }
}
