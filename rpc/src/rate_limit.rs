//! How many calls an address may make per second.
//!
//! A token bucket per address, kept in bounded memory. It knows no clock; the caller says what
//! time it is.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    errors::CallError,
    limits::{MAX_RATE_ENTRIES, RATE_BURST_SECONDS},
};

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_second: u32,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    by_address: HashMap<IpAddr, Bucket>,
    /// When full buckets were last forgotten.
    pruned_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the bucket would be full again. In the past: it is full.
    full_at: Instant,
}

impl RateLimiter {
    /// Allows each address `per_second` calls per second (at least one), and those of
    /// [`RATE_BURST_SECONDS`] at once.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), buckets: Mutex::default() }
    }

    /// Counts a call at the time `now`, or refuses it.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), CallError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = network(address);
        if buckets.is_full() && !buckets.by_address.contains_key(&key) {
            buckets.prune(now);
            if buckets.is_full() {
                // So many at once: newcomers share one bucket.
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let bucket = buckets.by_address.entry(key).or_insert(Bucket { full_at: now });
        let full_at = bucket.full_at.max(now) + Duration::from_secs(1) / self.per_second;
        let allowed = now + Duration::from_secs(RATE_BURST_SECONDS.into());
        if full_at > allowed {
            return Err(CallError::RateLimited { per_second: self.per_second, retry_after: full_at - allowed });
        }
        bucket.full_at = full_at;
        Ok(())
    }
}

impl Buckets {
    fn is_full(&self) -> bool {
        self.by_address.len() >= MAX_RATE_ENTRIES
    }

    /// Forgets the buckets that are full. It goes through all of them, so at most once a second.
    fn prune(&mut self, now: Instant) {
        if self.pruned_at.is_none_or(|at| now.saturating_duration_since(at) >= Duration::from_secs(1)) {
            self.by_address.retain(|_, bucket| bucket.full_at > now);
            self.pruned_at = Some(now);
        }
    }
}

/// What is counted together: an IPv4 address, or the /64 that one IPv6 subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limiter = RateLimiter::new(10);
        let now = Instant::now();
        let take = |at: u64| limiter.take(ip("10.0.0.1"), now + Duration::from_millis(at));
        for _ in 0..10 * RATE_BURST_SECONDS {
            take(0).unwrap();
        }
        assert_eq!(take(0), Err(CallError::RateLimited { per_second: 10, retry_after: Duration::from_millis(100) }));
        take(99).unwrap_err();
        take(100).unwrap();
        take(100).unwrap_err();
        limiter.take(ip("10.0.0.2"), now).unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let limiter = RateLimiter::new(1);
        let now = Instant::now();
        limiter.take(ip("2001:db8::1"), now).unwrap();
        limiter.take(ip("2001:db8::2"), now).unwrap();
        limiter.take(ip("2001:db8::3"), now).unwrap_err();
        limiter.take(ip("2001:db8:0:1::3"), now).unwrap();
        // The same IPv4 client, however the socket calls it.
        limiter.take(ip("::ffff:10.0.0.1"), now).unwrap();
        limiter.take(ip("10.0.0.1"), now).unwrap();
        limiter.take(ip("10.0.0.1"), now).unwrap_err();
    }

    #[test]
    fn the_memory_is_bounded() {
        let limiter = RateLimiter::new(1);
        let now = Instant::now();
        let many = MAX_RATE_ENTRIES as u32 + 100;
        for i in 0..many {
            let _ = limiter.take(std::net::Ipv4Addr::from(i).into(), now);
        }
        assert!(limiter.buckets.lock().unwrap().by_address.len() <= MAX_RATE_ENTRIES + 1);
        limiter.take(ip("200.0.0.1"), now).unwrap_err();
        limiter.take(ip("200.0.0.1"), now + Duration::from_secs(10)).unwrap();
        assert_eq!(limiter.buckets.lock().unwrap().by_address.len(), 1);
    }
}
