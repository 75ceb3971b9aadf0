//! Token buckets, one for each caller: a burst, then a rate a minute.
//!
//! A bucket is one integer, the time at which it is full (the generic cell rate algorithm, ITU-T
//! I.371 annex A, in its virtual-scheduling form). An absent bucket is full.
//! Promises: a refused request takes nothing; waiting for the returned time is always enough;
//! nothing is rounded, so a caller that asks every 900 ms at a rate of one a second is not starved.
//! The table is bounded, and buckets that are not full are never evicted; when it is full, new
//! callers share one bucket.
//! Leaves out: what identifies a caller.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::service::settings::Rate;

/// Buckets of one rate, by caller.
#[derive(Debug)]
pub struct Throttle<K> {
    rate: Rate,
    entries_max: usize,
    /// Nanoseconds of uptime at which each bucket is full again.
    full_at: BTreeMap<K, u64>,
    /// The shared bucket of callers for which the table has no room.
    shared_full_at: u64,
    /// When full buckets were last removed from the table: at most once for each interval of the
    /// rate, so that a new caller rarely costs a scan of a full table.
    swept_at: u64,
}

impl<K: Ord + Clone> Throttle<K> {
    /// No buckets yet; at most `entries_max`.
    pub fn new(rate: Rate, entries_max: usize) -> Self {
        Self { rate, entries_max, full_at: BTreeMap::new(), shared_full_at: 0, swept_at: 0 }
    }

    /// Takes one from a caller's bucket.
    ///
    /// # Errors
    /// The bucket is empty; the time until the next one.
    pub fn take(&mut self, name: &K, now: Duration) -> Result<(), Duration> {
        if self.rate.per_minute == 0 {
            return Ok(());
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let rate = self.rate;
        if let Some(full_at) = self.full_at.get_mut(name) {
            return draw(rate, full_at, now);
        }
        if self.full_at.len() >= self.entries_max {
            if now >= self.swept_at.saturating_add(interval(self.rate)) {
                self.swept_at = now;
                self.full_at.retain(|_, full_at| *full_at > now);
            }
            if self.full_at.len() >= self.entries_max {
                return draw(rate, &mut self.shared_full_at, now);
            }
        }
        let mut full_at = 0;
        let taken = draw(rate, &mut full_at, now);
        self.full_at.insert(name.clone(), full_at);
        taken
    }
}

/// Nanoseconds from one request to the next at the rate.
fn interval(rate: Rate) -> u64 {
    60_000_000_000 / u64::from(rate.per_minute.max(1))
}

fn draw(rate: Rate, full_at: &mut u64, now: u64) -> Result<(), Duration> {
    let after = (*full_at).max(now).saturating_add(interval(rate));
    let empty_at = now.saturating_add(interval(rate).saturating_mul(rate.burst.into()));
    if after > empty_at {
        return Err(Duration::from_nanos(after - empty_at));
    }
    *full_at = after;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_then_one_a_drop_and_the_wait_suffices() {
        let mut buckets = Throttle::new(Rate { per_minute: 60, burst: 3 }, 10);
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", ms(0)), Ok(()));
        }
        assert_eq!(buckets.take(&"a", ms(0)), Err(ms(1000)));
        assert_eq!(buckets.take(&"a", ms(400)), Err(ms(600)), "a refusal costs nothing");
        assert_eq!(buckets.take(&"b", ms(400)), Ok(()), "another's bucket is another's");
        assert_eq!(buckets.take(&"a", ms(1000)), Ok(()));
        assert_eq!(buckets.take(&"a", ms(1000)), Err(ms(1000)));
    }

    #[test]
    fn old_wound_asking_every_900_ms_starves_nobody() {
        let mut buckets = Throttle::new(Rate { per_minute: 60, burst: 1 }, 10);
        let served = (0..100).filter(|i| buckets.take(&"a", ms(i * 900)).is_ok()).count();
        assert!(served >= 50, "{served}: one of two must be served");
    }

    #[test]
    fn a_full_table_keeps_debts_and_shares_one_bucket() {
        let mut buckets = Throttle::new(Rate { per_minute: 60, burst: 1 }, 2);
        assert_eq!(buckets.take(&1, ms(0)), Ok(()));
        assert_eq!(buckets.take(&2, ms(0)), Ok(()));
        assert_eq!(buckets.take(&3, ms(0)), Ok(()), "the shared bucket");
        assert!(buckets.take(&4, ms(0)).is_err(), "the shared bucket is empty");
        assert!(buckets.take(&1, ms(0)).is_err(), "a bucket that is not full is kept");
        assert_eq!(buckets.take(&5, ms(1000)), Ok(()), "full buckets make room");
        assert!(buckets.full_at.len() <= 2);
    }

    #[test]
    fn no_time_and_no_rate_overflows() {
        for burst in [1, u32::MAX] {
            for per_minute in [1, u32::MAX] {
                let mut buckets = Throttle::new(Rate { per_minute, burst }, 1);
                for now in [Duration::ZERO, Duration::MAX] {
                    let _ = buckets.take(&(), now);
                }
            }
        }
        let mut open = Throttle::new(Rate { per_minute: 0, burst: 1 }, 1);
        assert!((0..1000).all(|_| open.take(&(), Duration::ZERO).is_ok()));
    }
}
