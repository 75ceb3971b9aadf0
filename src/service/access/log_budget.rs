//! The log budget of strangers: which of their failures get a line in the log.
//!
//! Every invalid token and malformed message is answered: a refusal costs less than remembering it,
//! and a good client behind the same address must not be blocked. Their log lines are bounded here,
//! by address and in total.
//! Promises: failures without a line are counted, and summed up once a minute; with nothing to sum
//! up there is no timer.
//! Leaves out: what counts as a failure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::limits;
use crate::service::access::throttle::Throttle;
use crate::service::settings::Rate;

const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// The unit that shares a budget: an IPv4 address, an IPv6 network of 64 bits, or all of `ipc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(Option<IpAddr>);

/// The budget, and the failures that got no line.
#[derive(Debug)]
pub struct LogBudget {
    lines: Throttle<Network>,
    all_lines: Throttle<()>,
    unwritten: BTreeMap<Network, u64>,
    /// Failures without a line, of addresses for which the table has no room.
    unwritten_elsewhere: u64,
    summary_at: Option<Duration>,
}

impl Network {
    /// The network of an address.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(four) => IpAddr::V4(four),
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => out.write_str("local"),
            Some(IpAddr::V4(four)) => write!(out, "{four}"),
            Some(IpAddr::V6(six)) => write!(out, "{six}/64"),
        }
    }
}

impl LogBudget {
    /// No failures yet; each address has a budget of so many lines a minute.
    pub fn new(lines_per_minute: u32) -> Self {
        let rate = |per_minute| Rate { per_minute, burst: per_minute };
        let lines = rate(lines_per_minute);
        Self {
            lines: Throttle::new(lines, limits::ADDRESSES_MAX),
            all_lines: Throttle::new(rate(limits::FAILURE_LINES_PER_MINUTE_ALL), 1),
            unwritten: BTreeMap::new(),
            unwritten_elsewhere: 0,
            summary_at: None,
        }
    }

    /// Whether a failure at this time gets its own line.
    pub fn gets_a_line(&mut self, network: Network, now: Duration) -> bool {
        if self.lines.take(&network, now).is_ok() && self.all_lines.take(&(), now).is_ok() {
            return true;
        }
        let room = self.unwritten.len() < limits::ADDRESSES_MAX;
        match self.unwritten.get_mut(&network) {
            Some(count) => *count = count.saturating_add(1),
            None if room => drop(self.unwritten.insert(network, 1)),
            None => self.unwritten_elsewhere = self.unwritten_elsewhere.saturating_add(1),
        }
        self.summary_at.get_or_insert(now.saturating_add(SUMMARY_INTERVAL));
        false
    }

    /// The time of the next summary.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.summary_at
    }

    /// The summary that is due now, greatest count first: a network, or `None` for the rest
    /// together, and its number of failures.
    pub fn summaries(&mut self, now: Duration) -> Vec<(Option<Network>, u64)> {
        if self.summary_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.summary_at = None;
        let mut counts: Vec<_> = std::mem::take(&mut self.unwritten).into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let named = counts.len().min(limits::FAILURE_LINES_PER_MINUTE as usize);
        let rest: u64 = counts.iter().skip(named).map(|(_, count)| count).sum();
        let rest = rest.saturating_add(std::mem::take(&mut self.unwritten_elsewhere));
        let mut lines: Vec<_> =
            counts.into_iter().take(named).map(|(network, count)| (Some(network), count)).collect();
        if rest > 0 {
            lines.push((None, rest));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_share_a_fate() {
        let cases = [
            (Some("10.0.0.1"), "10.0.0.1"),
            (Some("::ffff:10.0.0.1"), "10.0.0.1"),
            (Some("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64"),
            (None, "local"),
        ];
        for (address, network) in cases {
            let address = address.map(|text| text.parse().unwrap());
            assert_eq!(Network::of(address).to_string(), network);
        }
    }

    #[test]
    fn lines_are_bounded_and_failures_are_not_lost() {
        let mut failures = LogBudget::new(limits::FAILURE_LINES_PER_MINUTE);
        let at = |last: u8| Network::of(Some(IpAddr::from([10, 0, 0, last])));
        assert_eq!(failures.next_deadline(), None);
        let mut lines = 0;
        for last in 0..100 {
            for _ in 0..20 {
                lines += u64::from(failures.gets_a_line(at(last), Duration::ZERO));
            }
        }
        assert_eq!(lines, u64::from(limits::FAILURE_LINES_PER_MINUTE_ALL));
        assert_eq!(failures.next_deadline(), Some(SUMMARY_INTERVAL));
        assert_eq!(failures.summaries(Duration::from_secs(59)), []);
        let summaries = failures.summaries(SUMMARY_INTERVAL);
        assert_eq!(summaries.len(), limits::FAILURE_LINES_PER_MINUTE as usize + 1);
        assert_eq!(lines + summaries.iter().map(|(_, count)| count).sum::<u64>(), 2000);
        assert_eq!(failures.next_deadline(), None, "no timer without a reason");
    }
}
