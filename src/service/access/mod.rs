//! Admission of peers, rates of callers, and the log lines that strangers cause.
//!
//! Promises: with CURVE, the handshake admits only listed keys; without CURVE, it admits every peer
//! that reaches the endpoint. An address that exceeds its rate of handshakes is told to try again
//! later; loopback and `ipc` share a higher rate. The log lines about strangers are bounded, and
//! the rest is summed up.
//! Leaves out: what a caller may do, which the scope of its token says.

pub mod authority;
pub mod caller;
pub mod clients;
pub mod log_budget;
pub mod opened;
pub mod roles;
pub mod scope;
pub mod throttle;

use std::time::Duration;

use crate::limits;
use crate::port::{Handshake, Subject, Verdict};
use crate::service::access::clients::Clients;
use crate::service::access::log_budget::{LogBudget, Network};
use crate::service::access::opened::OpenedTokens;
use crate::service::access::throttle::Throttle;
use crate::service::settings::Rate;

/// The state about peers and callers.
#[derive(Debug)]
pub struct Access {
    /// Tokens that were opened before.
    pub tokens: OpenedTokens,
    /// The rate of requests of each subject.
    pub callers: Throttle<Subject>,
    /// The rate of handshakes of each remote address.
    handshakes: Throttle<Network>,
    /// The rate of handshakes of this host: loopback and `ipc`.
    local_handshakes: Throttle<()>,
    /// Log budget for requests without a valid token.
    pub refused: LogBudget,
    /// Log budget for peers that were not admitted.
    pub turned_away: LogBudget,
}

/// Failures without their own line: the event of the log, the address, and the number.
pub type Summary = (&'static str, String, u64);

impl Access {
    /// No peers yet; each subject has this rate of requests.
    pub fn new(callers: Rate) -> Self {
        let rate = |per_minute, burst| Rate { per_minute, burst };
        let far = rate(limits::HANDSHAKES_PER_MINUTE, limits::HANDSHAKE_BURST);
        let local = rate(limits::LOCAL_HANDSHAKES_PER_MINUTE, limits::LOCAL_HANDSHAKE_BURST);
        Self {
            tokens: OpenedTokens::default(),
            callers: Throttle::new(callers, limits::SUBJECTS_MAX),
            handshakes: Throttle::new(far, limits::ADDRESSES_MAX),
            local_handshakes: Throttle::new(local, 1),
            refused: LogBudget::new(limits::FAILURE_LINES_PER_MINUTE),
            turned_away: LogBudget::new(limits::HANDSHAKE_LINES_PER_MINUTE),
        }
    }

    /// Decides on a handshake; a refusal has a reason.
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
            Some(_) => self.handshakes.take(&Network::of(far), now),
            None => self.local_handshakes.take(&(), now),
        };
        if taken.is_err() {
            return (Verdict::Later, "too many handshakes from this address");
        }
        (Verdict::Admitted, "")
    }

    /// The time of the next summary.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.refused.next_deadline().into_iter().chain(self.turned_away.next_deadline()).min()
    }

    /// The summaries that are due now.
    pub fn summaries(&mut self, now: Duration) -> Vec<Summary> {
        let budgets = [
            ("refused_without_line", &mut self.refused),
            ("turned_away_without_line", &mut self.turned_away),
        ];
        let mut summaries = Vec::new();
        for (event, budget) in budgets {
            for (network, count) in budget.summaries(now) {
                let network = network.map_or("elsewhere".to_owned(), |network| network.to_string());
                summaries.push((event, network, count));
            }
        }
        summaries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_come_in_and_each_address_has_its_share() {
        let mut access = Access::new(Rate { per_minute: 0, burst: 1 });
        let key = "0".repeat(40);
        let clients = Clients::parse(&format!("{key} one")).unwrap();
        let at = |address: &str, key: Option<&str>| Handshake {
            ticket: [Vec::new(), Vec::new()],
            address: address.parse().ok(),
            key: key.map(str::to_owned),
        };
        let now = Duration::ZERO;
        let mut verdict =
            |clients, handshake: &Handshake, now| access.judge(clients, handshake, now).0;
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
